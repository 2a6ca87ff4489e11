"""How to convert: the options of every call, checked before anything is sent.

The server checks them again; here they are checked so that a slip shows at the line that made it.
Which styles there are is the server's to know (`ServerInfo.styles`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from hanjaserve.client.errors import FieldViolation, InvalidRequest
from hanjaserve.client.glossary import GlossaryReference, Words, entries_of, glossary_to_proto
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
    HANGUL = "hangul"
    """수도, even where 首都 stands in the text"""


_WIRE = {
    Rendering.HANJA: pb.RENDERING_HANJA,
    Rendering.HANGUL_HANJA: pb.RENDERING_HANGUL_HANJA,
    Rendering.HANJA_HANGUL: pb.RENDERING_HANJA_HANGUL,
    Rendering.RUBY: pb.RENDERING_RUBY,
    Rendering.HANGUL: pb.RENDERING_HANGUL,
}


class CharacterSet(StrEnum):
    """Which Hanja may be written, unless it is those of a string."""

    ALL = "all"
    EDUCATIONAL = "educational"
    """The 1,800 Hanja taught in Korean schools (한문 교육용 기초 한자)."""


class OptionFields(TypedDict, total=False):
    """The keyword arguments of the convert methods; see `ConvertOptions`."""

    rendering: Rendering | str
    min_score: float
    max_alternatives: int
    first_occurrence_only: bool
    style: str
    with_spans: bool
    characters: CharacterSet | str
    with_kept: bool
    read_hanja: bool
    glossary: Words | GlossaryReference | None


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
        characters: The Hanja that may be written: "all", "educational", or a string of them. A word
            that needs any other stays in Hangul.
        with_kept: Report the text between the words as spans, too. Implies the spans.
        read_hanja: Give Hanja in the text their reading, and render both.
        glossary: Words that are decided whatever the model says, such as {"김영희": "金英姬"}; None
            instead of the Hanja keeps a word in Hangul.
    """

    rendering: Rendering | str = Rendering.HANJA
    min_score: float = 0.0
    max_alternatives: int = 0
    first_occurrence_only: bool = False
    style: str = ""
    with_spans: bool = False
    characters: CharacterSet | str = CharacterSet.ALL
    with_kept: bool = False
    read_hanja: bool = False
    glossary: Words | GlossaryReference | None = None

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
        if not isinstance(self.glossary, GlossaryReference | None):
            # An iterator would serve one call only, and retries and streams make several.
            object.__setattr__(self, "glossary", entries_of(self.glossary))

    def to_proto(self) -> pb.ConvertOptions:
        """The message for these options."""
        message = pb.ConvertOptions(
            rendering=_WIRE[Rendering(self.rendering)],
            min_score=self.min_score,
            max_alternatives=self.max_alternatives,
            first_occurrence_only=self.first_occurrence_only,
            style=self.style,
            with_spans=self.wants_spans,
            with_kept=self.with_kept,
            read_hanja=self.read_hanja,
        )
        if self.characters == CharacterSet.EDUCATIONAL:
            message.character_set = pb.CHARACTER_SET_EDUCATIONAL
        elif self.characters != CharacterSet.ALL:
            message.character_set = pb.CHARACTER_SET_CUSTOM
            message.characters = self.characters
        if isinstance(self.glossary, GlossaryReference):
            reference = pb.GlossaryReference(id=self.glossary.id, version=self.glossary.version)
            message.glossary_reference.CopyFrom(reference)
        elif self.glossary is not None:
            message.glossary.CopyFrom(glossary_to_proto(self.glossary))
        return message

    def as_fields(self) -> OptionFields:
        """The keyword arguments that make these options."""
        return OptionFields(
            rendering=self.rendering,
            min_score=self.min_score,
            max_alternatives=self.max_alternatives,
            first_occurrence_only=self.first_occurrence_only,
            style=self.style,
            with_spans=self.with_spans,
            characters=self.characters,
            with_kept=self.with_kept,
            read_hanja=self.read_hanja,
            glossary=self.glossary,
        )

    @property
    def wants_spans(self) -> bool:
        """Whether spans are reported."""
        return self.with_spans or self.with_kept or self.max_alternatives > 0


def _refused(field: str, description: str) -> InvalidRequest:
    violation = FieldViolation(field=f"options.{field}", description=description)
    return InvalidRequest(f"{field} {description}", field_violations=(violation,))
