"""Write a text with its converted words, in one of five ways."""

import html
from collections.abc import Callable, Iterable

from hanjaserve.server.options import Rendering
from hanjaserve.server.spans import Source, Span

__all__ = ["Rendering", "render"]


def render(text: str, spans: Iterable[Span], rendering: Rendering, start: int = 0) -> str:
    """Put converted words in the place of their spans.

    Args:
        text: What the spans refer to.
        spans: In order, not overlapping; kept ones are text like any other.
        rendering: How a word appears.
        start: Leave out the text before it; no span begins there.

    Example:
        >>> span = Span(start=0, end=2, hangul="수도", hanja="首都", score=1.0)
        >>> render("수도는", [span], Rendering.HANGUL_HANJA)
        '수도(首都)는'
    """
    plain: Callable[[str], str] = html.escape if rendering is Rendering.RUBY else str
    write = WRITERS[rendering]
    parts = []
    last = start
    for span in spans:
        if span.source is Source.KEPT:
            continue
        parts.append(plain(text[last : span.start]))
        parts.append(write(span))
        last = span.end
    parts.append(plain(text[last:]))
    return "".join(parts)


def _ruby(span: Span) -> str:
    hanja, hangul = html.escape(span.hanja), html.escape(span.hangul)
    return f"<ruby>{hanja}<rp>(</rp><rt>{hangul}</rt><rp>)</rp></ruby>"


WRITERS: dict[Rendering, Callable[[Span], str]] = {
    Rendering.HANJA: lambda span: span.hanja,
    Rendering.HANGUL_HANJA: lambda span: f"{span.hangul}({span.hanja})",
    Rendering.HANJA_HANGUL: lambda span: f"{span.hanja}({span.hangul})",
    Rendering.RUBY: _ruby,
    Rendering.HANGUL: lambda span: span.hangul,
}
