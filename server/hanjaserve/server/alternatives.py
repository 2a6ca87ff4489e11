"""Other spellings of a word: the most probable other combinations of candidates."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import KEEP

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another spelling of a word and its probability."""

    hanja: str
    score: float


def losses_of(decoded: Decoded) -> Floats:
    """What taking another candidate costs: log of (best / other), infinite if there is none.

    Returns:
        float64 [units, k - 1].
    """
    scores = decoded.scores.astype(np.float64)
    usable = (decoded.labels[:, 1:] != KEEP) & (scores[:, 1:] > 0) & (scores[:, :1] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = np.log(scores[:, :1]) - np.log(scores[:, 1:])
    return np.where(usable, losses, np.inf)


def alternatives_of(
    labels: npt.NDArray[np.int32],
    losses: Floats,
    spelling: tuple[str, ...],
    score: float,
    limit: int,
) -> tuple[Alternative, ...]:
    """The best other combinations of candidates of one word, int32 [units, k] and [units, k - 1].

    A combination is a set of swaps, and costs the sum of their losses. The best `limit` of them need
    no swap beyond the `limit` cheapest, since each swap by itself is a cheaper combination.
    """
    flat = losses.ravel()
    slots = losses.shape[1]
    combinations: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for swap in flat.argsort(kind="stable")[:limit].tolist():
        loss = float(flat[swap])
        if math.isinf(loss) or (len(combinations) > limit and loss >= combinations[-1][0]):
            break
        unit = swap // slots
        more = [
            (total + loss, (*swaps, swap))
            for total, swaps in combinations
            if unit not in [other // slots for other in swaps]
        ]
        combinations = sorted(combinations + more)[: limit + 1]
    chosen = [spelling[label] for label in labels[:, 0].tolist()]
    found = {"".join(chosen): 0.0}
    for total, swaps in combinations[1:]:
        letters = chosen.copy()
        for swap in swaps:
            letters[swap // slots] = spelling[labels[swap // slots, 1 + swap % slots]]
        found.setdefault("".join(letters), score * math.exp(-total))
    return tuple(Alternative(hanja=hanja, score=p) for hanja, p in list(found.items())[1:])
