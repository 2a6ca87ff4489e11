"""What goes into an engine and what comes out, in numbers.

In:  "tokens" int32 [batch, tokens].
Out: "candidates" int32 [batch, tokens, k], best first; label << 16 | round(probability * 65535).
One int32 per candidate keeps the device's output at 16 bytes a token for k = 4.
"""

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]

TOP_K = 4
MULTIPLE = 8


def unpack_labels(candidates: Int32) -> Int32:
    """The label of every candidate, int32 of the same shape."""
    return candidates >> 16


def unpack_scores(candidates: Int32) -> NDArray[np.float32]:
    """The probability of every candidate, float32 of the same shape."""
    return ((candidates & 0xFFFF) / np.float32(65535)).astype(np.float32)


def padded_length(length: int, multiple: int = MULTIPLE) -> int:
    """`length` rounded up, so that an engine sees few different shapes."""
    return -(-length // multiple) * multiple


def pad(rows: list[Int32], pad_id: int) -> Int32:
    """Rows of any lengths as one C-contiguous int32 [batch, tokens]."""
    out = np.full((len(rows), padded_length(max(map(len, rows)))), pad_id, np.int32)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out
