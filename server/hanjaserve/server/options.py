"""How a caller wants a text converted: plain values, checked in one place."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from hanjaserve.server.errors import BadOption

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
    """

    rendering: Rendering = Rendering.HANJA
    min_score: float = 0.0
    max_alternatives: int = 0
    first_occurrence_only: bool = False
    style: str = DEFAULT_STYLE
    with_spans: bool = True

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
        known = styles or (DEFAULT_STYLE,)
        if self.style not in known:
            raise BadOption(
                "style",
                f"style is {self.style[:32]!r}: this model knows {', '.join(sorted(known))}",
            )
