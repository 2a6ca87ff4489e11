"""Where to cut a long text: at sentence ends, else at white space, else anywhere.

Every cut falls in the last quarter of the room there is, so windows stay long, and each window gets context
from both neighbours. Linear in the text, whatever it holds.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hanjaserve.server.shapes import Int32

_ENDS = np.array([ord(c) for c in ".!?。！？…\n"], np.int32)
_SPACES = np.array([ord(c) for c in " \t\r\u00a0\u3000"], np.int32)


def cuts(points: Int32, room: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges that cover the text, none longer than `room`.

    Example:
        >>> list(cuts(np.array([65] * 5, np.int32), 3))
        [(0, 3), (3, 5)]
    """
    start, total = 0, len(points)
    while total - start > room:
        low, high = start + room - max(1, room // 4), start + room
        tail = points[low:high]
        stop = _last(np.isin(tail, _ENDS), low) or _last(np.isin(tail, _SPACES), low) or high
        yield start, stop
        start = stop
    if start < total:
        yield start, total


def _last(hits: NDArray[np.bool_], low: int) -> int:
    found = np.flatnonzero(hits)
    return low + int(found[-1]) + 1 if len(found) else 0
