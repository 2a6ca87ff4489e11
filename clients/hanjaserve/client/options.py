"""How to convert: the options of every call, checked before anything is sent.

The server checks them again; here they are checked so that a slip shows at the line that made it.
Which styles there are is the server's to know (`ServerInfo.styles`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from hanjaserve.client.errors import FieldViolation, InvalidRequest
from hanjaserve.v1 import hanjaserve_pb2 as pb

MAX_ALTERNATIVES = 8


class Rendering(StrEnum):
    """How a converted word is written into the text."""

    HANJA = "hanja"
    """首都"""
    HANGUL_HANJA = "hangul-hanja"
    """수도(首都)"""
    HANJA_HANGUL = "hanja-hangul"
    """首都(수도)"""
    RUBY = "ruby"
    """<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>"""


_WIRE = {
    Rendering.HANJA: pb.RENDERING_HANJA,
    Rendering.HANGUL_HANJA: pb.RENDERING_HANGUL_HANJA,
    Rendering.HANJA_HANGUL: pb.RENDERING_HANJA_HANGUL,
    Rendering.RUBY: pb.RENDERING_RUBY,
}


class OptionFields(TypedDict, total=False):
    """The keyword arguments of the convert methods; see `ConvertOptions`."""

    rendering: Rendering | str
    min_score: float
    max_alternatives: int
    first_occurrence_only: bool
    style: str
    with_spans: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How to convert.

    Attributes:
        rendering: How converted words are written; the value of a `Rendering` will do.
        min_score: Words scored lower stay in Hangul; in [0, 1].
        max_alternatives: How many alternatives to report per word, at most 8. Implies the spans.
        first_occurrence_only: Convert only the first occurrence of every word.
        style: The orthographic style, one of `ServerInfo.styles`; empty means "modern".
        with_spans: Report the converted words, not just the text.
    """

    rendering: Rendering | str = Rendering.HANJA
    min_score: float = 0.0
    max_alternatives: int = 0
    first_occurrence_only: bool = False
    style: str = ""
    with_spans: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidRequest: One of them is out of range.
        """
        if self.rendering not in set(Rendering):
            known = ", ".join(Rendering)
            raise _refused("rendering", f"is {self.rendering!r}; use one of {known}")
        if not 0.0 <= self.min_score <= 1.0:
            raise _refused("min_score", f"is {self.min_score}; use a number from 0 to 1")
        if not 0 <= self.max_alternatives <= MAX_ALTERNATIVES:
            raise _refused("max_alternatives", f"is {self.max_alternatives}; use 0 to {MAX_ALTERNATIVES}")

    def to_proto(self) -> pb.ConvertOptions:
        """The message for these options."""
        return pb.ConvertOptions(
            rendering=_WIRE[Rendering(self.rendering)],
            min_score=self.min_score,
            max_alternatives=self.max_alternatives,
            first_occurrence_only=self.first_occurrence_only,
            style=self.style,
            with_spans=self.with_spans or self.max_alternatives > 0,
        )


def _refused(field: str, description: str) -> InvalidRequest:
    violation = FieldViolation(field=f"options.{field}", description=description)
    return InvalidRequest(f"{field} {description}", field_violations=(violation,))
