"""Cut a long text into windows that overlap by some context: arithmetic on positions alone.

    units    |-------------------------------------------------------|
    window 1 |=================>........|
    window 2            |.......=================>........|
    window 3                              |......=====================|
             = answered for   . context on either side

Cuts are made at the end of a sentence where there is one in the second half of what a window could
answer for, else after white space, else wherever the window is full. Time is linear in the length.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanjaserve.server.shapes import Int32

HARD, WEAK, STRONG = 0, 1, 2
"""How good it is to cut before a unit: in the middle of a word, after space, after a sentence."""

SPACES = (
    0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
    0x2028, 0x2029, 0x202F, 0x205F, 0x3000,
)  # fmt: skip
NEWLINES = (0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029)
ENDERS = tuple(map(ord, ".!?…。．！？"))
# These end a sentence without a space after them; a full stop may belong to a number.
WIDE_ENDERS = tuple(map(ord, "。！？"))
CLOSERS = tuple(map(ord, "\"'”’」』)］】"))

SPACE, ENDER, CLOSER, NEWLINE, WIDE = 1, 2, 4, 8, 16
LAST_KNOWN = 0xFFFF
"""Nothing beyond it is any of these; U+FFFF itself is no character."""

Ranks = npt.NDArray[np.uint8]


class Cut(NamedTuple):
    """One window, in units: it sees [first, last) and answers for [start, stop)."""

    first: int
    start: int
    stop: int
    last: int


def cuts(ranks: Ranks, capacity: int, context: int) -> Iterator[Cut]:
    """Cut [0, len(ranks)) into windows.

    Args:
        ranks: How good it is to cut before each unit: HARD, WEAK or STRONG.
        capacity: Units that a window holds, context included; more than twice `context`.
        context: Units of context on each side of a cut.

    Example:
        >>> list(cuts(np.zeros(10, np.uint8), capacity=6, context=1))
        [Cut(first=0, start=0, stop=5, last=6), Cut(first=4, start=5, stop=10, last=10)]
    """
    if capacity <= 2 * context:
        raise ValueError(f"capacity {capacity} leaves no room between contexts of {context}")
    total = len(ranks)
    start = 0
    while start < total:
        first = max(0, start - context)
        room = capacity - (start - first)
        if total - start <= room:
            yield Cut(first, start, total, total)
            return
        answered = room - context
        stop = _best_cut(ranks, start + (answered + 1) // 2, start + answered)
        yield Cut(first, start, stop, min(total, stop + context))
        start = stop


def _best_cut(ranks: Ranks, least: int, most: int) -> int:
    """The last of the best positions from `least` to `most`, both included."""
    backwards = ranks[least : most + 1][::-1]
    return most - int(backwards.argmax())


def ranks_of(code_points: npt.NDArray[np.integer]) -> Ranks:
    """How good it is to cut before each code point: uint8 [code points].

    Example:
        >>> ranks_of(np.array([ord(c) for c in "네. 예 3.1"])).tolist()
        [0, 0, 0, 2, 0, 1, 0, 0]
    """
    kinds = _kinds()[np.minimum(code_points, LAST_KNOWN)]
    space, ender, closer = ((kinds & kind).astype(np.bool_) for kind in (SPACE, ENDER, CLOSER))
    ranks = np.zeros(len(code_points), dtype=np.uint8)
    ranks[1:][space[:-1] & ~space[1:]] = WEAK
    ended = ender.copy()
    ended[1:] |= ender[:-1] & closer[1:]
    ranks[2:][ended[:-2] & space[1:-1] & ~space[2:]] = STRONG
    ranks[1:][(kinds[:-1] & NEWLINE).astype(np.bool_)] = STRONG
    wide = (kinds & WIDE).astype(np.bool_)
    ranks[1:][wide[:-1] & ~ender[1:] & ~closer[1:]] = STRONG
    return ranks


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """What each code point up to LAST_KNOWN is: flags. One look-up is quicker than five searches."""
    table = np.zeros(LAST_KNOWN + 1, dtype=np.uint8)
    for kind, members in (
        (SPACE, SPACES),
        (ENDER, ENDERS),
        (CLOSER, CLOSERS),
        (NEWLINE, NEWLINES),
        (WIDE, WIDE_ENDERS),
    ):
        table[list(members)] |= kind
    return table


def chunks(text: str, longest: int) -> Iterator[tuple[int, int]]:
    """Cut a text into (start, end) of at most `longest` code points, after white space if possible.

    Example:
        >>> list(chunks("하나 둘 셋", 5))
        [(0, 5), (5, 6)]
    """
    start = 0
    while len(text) - start > longest:
        end = start + longest
        for space in ("\n", " "):
            found = text.rfind(space, start + longest // 2, end)
            if found >= 0:
                end = found + 1
                break
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def code_points_of(text: str) -> npt.NDArray[np.uint32]:
    """Code points of a text, lone surrogates included: uint32 [code points], read-only."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def joined_starts(counts: Sequence[int], origins: Sequence[int]) -> Int32:
    """Count up from every origin: int32 [sum of counts].

    Example:
        >>> joined_starts([2, 3], [0, 10]).tolist()
        [0, 1, 10, 11, 12]
    """
    if len(counts) == 1:  # every unary call, for which this takes a tenth of the time
        return np.arange(origins[0], origins[0] + counts[0], dtype=np.int32)
    lengths = np.array(counts, dtype=np.int64)
    before = lengths.cumsum() - lengths
    shift = (np.array(origins, dtype=np.int64) - before).repeat(lengths)
    return (shift + np.arange(len(shift))).astype(np.int32)
