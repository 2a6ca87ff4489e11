"""How converted words are written into the text."""

import html
from collections.abc import Sequence
from enum import Enum

from hanjaserve.server.spans import Span


class Rendering(Enum):
    """HANJA 首都, HANGUL_HANJA 수도(首都), HANJA_HANGUL 首都(수도), RUBY for HTML."""

    HANJA = "hanja"
    HANGUL_HANJA = "hangul-hanja"
    HANJA_HANGUL = "hanja-hangul"
    RUBY = "ruby"


def render(text: str, spans: Sequence[Span], rendering: Rendering) -> str:
    """The text with its spans rewritten; RUBY escapes all of it for HTML."""
    plain = html.escape if rendering is Rendering.RUBY else str
    out, at = [], 0
    for span in spans:
        out.append(plain(text[at : span.start]))
        out.append(_word(span, rendering))
        at = span.end
    out.append(plain(text[at:]))
    return "".join(out)


def _word(span: Span, rendering: Rendering) -> str:
    if rendering is Rendering.HANJA:
        return span.hanja
    if rendering is Rendering.HANGUL_HANJA:
        return f"{span.hangul}({span.hanja})"
    if rendering is Rendering.HANJA_HANGUL:
        return f"{span.hanja}({span.hangul})"
    hanja, hangul = html.escape(span.hanja), html.escape(span.hangul)
    return f"<ruby>{hanja}<rp>(</rp><rt>{hangul}</rt><rp>)</rp></ruby>"
