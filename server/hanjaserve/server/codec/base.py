"""What every codec does, as a Protocol, and the values it deals in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hanjaserve.server.shapes import Int32


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A piece of a text as an engine takes it.

    Attributes:
        tokens: int32 [n], special tokens included.
        start: first *unit* (syllable scheme: code point; word scheme: token) whose result counts.
        stop: one past the last such unit.
        skip: how many tokens stand before that first unit (special tokens and context).
        offsets: int32 [stop - start, 2] code points of each unit; None where unit = code point.
    """

    tokens: Int32
    start: int
    stop: int
    skip: int
    offsets: Int32 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What the engine said of every unit of a text, stitched.

    Attributes:
        start, end: int32 [units], code points.
        labels: int32 [units, k], best first.
        scores: float32 [units, k].
    """

    start: Int32
    end: Int32
    labels: Int32
    scores: NDArray[np.float32]


class Codec(Protocol):
    """Text to windows, candidates to units."""

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """The windows of every text; none for an empty one."""

    def decode(self, text: str, windows: Sequence[Window], candidates: Sequence[Int32]) -> Decoded:
        """Stitches candidates int32 [n, k], one array per window."""
