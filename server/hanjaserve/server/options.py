"""How a caller wants a text converted: plain values, checked in one place."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from hanjaserve.server.errors import BadOption
from hanjaserve.server.glossary import Glossary

DEFAULT_STYLE = "modern"
MAX_ALTERNATIVES = 8


class Rendering(Enum):
    """How converted words appear in the text."""

    HANJA = "hanja"
    """首都"""
    HANGUL_HANJA = "hangul-hanja"
    """수도(首都)"""
    HANJA_HANGUL = "hanja-hangul"
    """首都(수도)"""
    RUBY = "ruby"
    """<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>, everything HTML-escaped"""
    HANGUL = "hangul"
    """수도, even where 首都 stands in the text"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to convert.

    Attributes:
        rendering: How converted words appear in the text.
        min_score: Words below this probability, from 0 to 1, stay Hangul.
        max_alternatives: How many other spellings to give for every converted word, at most 8.
        first_occurrence_only: Convert a word only where it occurs first in the text.
        style: What kind of text it is, one of the bundle's styles.
        with_spans: Fill in `Conversion.spans`; without, a conversion is several times cheaper.
        characters: The Hanja that may be written; None allows all. A word that needs another stays.
        with_kept: Have spans for the text between the words as well.
        read_hanja: Give Hanja in the text their reading, and render both; HANGUL implies it.
        glossary: Words that are decided whatever the model says.
    """

    rendering: Rendering = Rendering.HANJA
    min_score: float = 0.0
    max_alternatives: int = 0
    first_occurrence_only: bool = False
    style: str = DEFAULT_STYLE
    with_spans: bool = True
    characters: frozenset[str] | None = None
    with_kept: bool = False
    read_hanja: bool = False
    glossary: Glossary | None = None

    @property
    def reads_hanja(self) -> bool:
        """Whether Hanja in the text are given their reading."""
        return self.read_hanja or self.rendering is Rendering.HANGUL

    @property
    def plain(self) -> bool:
        """Whether nothing but the text with the model's Hanja is wanted."""
        return (
            self.rendering is Rendering.HANJA
            and self.characters is None
            and self.glossary is None
            and not self.with_spans
            and not self.first_occurrence_only
        )

    def validate(self, styles: Collection[str]) -> None:
        """Check every value.

        Args:
            styles: The names that the bundle knows; none means that it has only the default one.

        Raises:
            BadOption: Names the field, its value and what is allowed.
        """
        if not isinstance(self.rendering, Rendering):
            names = ", ".join(rendering.name for rendering in Rendering)
            raise BadOption("rendering", f"rendering is {self.rendering!r}: use one of {names}")
        if not (math.isfinite(self.min_score) and 0 <= self.min_score <= 1):
            raise BadOption("min_score", f"min_score is {self.min_score}: use a number from 0 to 1")
        if not 0 <= self.max_alternatives <= MAX_ALTERNATIVES:
            raise BadOption(
                "max_alternatives",
                f"max_alternatives is {self.max_alternatives}: use 0 to {MAX_ALTERNATIVES}",
            )
        if self.with_kept and not self.with_spans:
            raise BadOption("with_kept", "with_kept is set without with_spans: set both")
        known = styles or (DEFAULT_STYLE,)
        if self.style not in known:
            raise BadOption(
                "style",
                f"style is {self.style[:32]!r}: this model knows {', '.join(sorted(known))}",
            )
