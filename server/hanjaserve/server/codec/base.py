"""What a codec is, and the arrays that it shares with its callers.

A *unit* is what takes a label of its own: a code point in the syllable scheme, a token in the word
scheme. A text is encoded into windows, and the candidates of its windows are decoded into units.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.labels import KEEP
from hanjaserve.server.options import Options
from hanjaserve.server.shapes import SCORE_BITS, Float32, Int32


class Window(NamedTuple):
    """A stretch of text as an engine takes it, special tokens and context included.

    A tuple, because there is one per text, and making one takes a third of the time of a dataclass.

    Attributes:
        tokens: int32 [tokens], at most the bundle's max_tokens.
        start: The window answers for the text from here, in code points,
        stop: up to here; windows of a text follow upon each other without gap or overlap.
        row: Which of `tokens` belongs to the first unit that it answers for.
        offsets: Word scheme only: int32 [units, 2], where each unit starts and ends in the text.
    """

    tokens: Int32
    start: int
    stop: int
    row: int
    offsets: Int32 | None = None

    @property
    def units(self) -> int:
        """How many units it answers for."""
        return self.stop - self.start if self.offsets is None else len(self.offsets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """All units of a text, in order.

    Attributes:
        start: int32 [units], in code points.
        end: int32 [units], exclusive.
        labels: int32 [units, k], best first; KEEP where a unit may not change.
        scores: float32 [units, k], their probabilities; 0 marks an empty slot.
    """

    start: Int32
    end: Int32
    labels: Int32
    scores: Float32

    @property
    def converted(self) -> npt.NDArray[np.bool_]:
        """Where the best label is not KEEP: bool [units]."""
        converted: npt.NDArray[np.bool_] = self.labels[:, 0] != KEEP
        return converted


class Codec(Protocol):
    """Encodes and decodes texts of one bundle. For one thread."""

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """Encode texts: the windows of each, none for an empty text.

        Args:
            texts: Any text at all.
            style: One of the bundle's styles.

        Raises:
            BadOption: The bundle has no such style.
        """

    def iter_windows(self, text: str, style: str) -> Iterator[Window]:
        """Encode one text window by window, so that a long one never takes long at a time."""

    def decode(
        self,
        text: str,
        windows: Sequence[Window],
        candidates: Sequence[Int32],
        origins: Sequence[int] = (),
    ) -> Decoded:
        """Turn candidates into units.

        Args:
            text: The text, or several texts joined by a character between them.
            windows: All windows of the text, in order.
            candidates: Of each window, int32 [tokens, k].
            origins: Where in `text` the own text of each window begins; 0 if left out.

        Raises:
            RuntimeFault: The candidates can't be those of the windows.
        """

    def replace(
        self,
        text: str,
        decoded: Decoded,
        chosen: npt.NDArray[np.bool_],
        bounds: Sequence[tuple[int, int]],
    ) -> list[str]:
        """Put the best label in the place of the chosen units.

        Args:
            text: What was given to `decode`.
            decoded: What came out of it.
            chosen: bool [units].
            bounds: (start, end) of every text in `text`.

        Returns:
            One text for each of `bounds`.
        """


def answers_of(windows: Sequence[Window], candidates: Sequence[Int32], *, top_k: int, labels: int) -> Int32:
    """Join what the windows answer for, leaving out special tokens and context.

    Args:
        windows: In order.
        candidates: Of each window, int32 [tokens, k].
        top_k: What k must be.
        labels: How many labels there are.

    Returns:
        int32 [units, k], a copy.

    Raises:
        RuntimeFault: Shapes or labels are not those of the bundle.
    """
    parts = [np.zeros((0, top_k), dtype=np.int32)]
    for (tokens, start, stop, row, offsets), found in zip(windows, candidates, strict=True):
        if found.shape != (len(tokens), top_k):
            raise RuntimeFault(
                f"the engine returned candidates {list(found.shape)} for {len(tokens)} "
                f"tokens instead of [{len(tokens)}, {top_k}]: it does not fit the bundle"
            )
        units = stop - start if offsets is None else len(offsets)
        parts.append(found[row : row + units])
    joined = np.concatenate(parts)
    # As an unsigned number a negative candidate is out of range, too.
    largest = int(np.maximum.reduce(joined.view(np.uint32), axis=None, initial=0)) >> SCORE_BITS
    if largest >= labels:
        raise RuntimeFault(
            f"the engine returned label {largest}, the table has {labels}: it does not fit the "
            "bundle, or computes wrongly"
        )
    return joined


def check_style(style: str, styles: Collection[str]) -> None:
    """Refuse a style that the bundle does not have.

    Raises:
        BadOption: Says which it has.
    """
    if style not in styles:
        Options(style=style).validate(styles)
