"""What is decided in a text without the model: words of a glossary, and the reading of Hanja.

Both become spans like those of the model's words, and the model's view of their stretches is dropped.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from hanjaserve.server.glossary import Match
from hanjaserve.server.readings import IDEOGRAPHS
from hanjaserve.server.spans import Source, Span
from hanjaserve.server.words import Words

HANJA_RUN = re.compile(f"[{''.join(f'{first}-{last}' for first, last in IDEOGRAPHS)}]+")


def glossary_spans(text: str, matches: Iterable[Match]) -> Iterator[Span]:
    """A span for every word that a glossary converts; none for those that it keeps."""
    for match in matches:
        if match.hanja is not None:
            hangul = text[match.start : match.end]
            yield Span(
                start=match.start, end=match.end, hangul=hangul, hanja=match.hanja, score=1.0,
                source=Source.GLOSSARY,
            )  # fmt: skip


def reading_spans(text: str, start: int, taken: Sequence[Match], words: Words) -> Iterator[Span]:
    """A span for every word in Hanja of which the reading is known.

    Args:
        text: The input.
        start: Where to begin.
        taken: What a glossary has decided.
        words: The dictionary.
    """
    begins = [start, *(match.end for match in taken)]
    ends = [*(match.start for match in taken), len(text)]
    for first, last in zip(begins, ends, strict=True):
        for run in HANJA_RUN.finditer(text, first, last):
            at = run.start()
            for length in words.split(unified(run[0])):
                hanja = text[at : at + length]
                if reading := words.read(unified(hanja)):
                    yield Span(
                        start=at, end=at + length, hangul=reading, hanja=hanja, score=1.0,
                        source=Source.READING,
                    )  # fmt: skip
                at += length


def unified(hanja: str) -> str:
    """Hanja with compatibility ideographs replaced by what they stand for, in equal number."""
    found = unicodedata.normalize("NFC", hanja)
    return found if len(found) == len(hanja) else hanja


def with_kept(text: str, start: int, spans: Iterable[Span]) -> Iterator[Span]:
    """The spans, and one for every stretch of text before, between and after them."""
    for span in spans:
        if span.start > start:
            yield _kept(text, start, span.start)
        yield span
        start = span.end
    if start < len(text):
        yield _kept(text, start, len(text))


def _kept(text: str, start: int, end: int) -> Span:
    return Span(start=start, end=end, hangul=text[start:end], hanja="", score=0.0, source=Source.KEPT)
