"""Other spellings of a word.

The syllables of a word of the dictionary are chosen together, so the others that are offered are words
of the dictionary, too: of 醫師 that is 意思, not 意師. What no dictionary has, a name say, has any other
combination of candidates.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import KEEP
from hanjaserve.server.options import MAX_ALTERNATIVES

Floats = npt.NDArray[np.float64]

MOST_COMBINATIONS = 256
"""That are looked up in the dictionary, for one word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another spelling of a word and its probability."""

    hanja: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A word, and what else its units may become.

    Attributes:
        hanja: What the units become.
        units: For each of them its candidates that are Hanja, best first, with their probabilities.
        score: The word's own.
    """

    hanja: str
    units: list[list[tuple[str, float]]]
    score: float


def chosen_word(decoded: Decoded, spelling: tuple[str, ...], first: int, last: int, score: float) -> Chosen:
    """The word of the units from `first` to `last`, exclusive."""
    units = [
        [(spelling[label], p) for label, p in zip(labels, scores, strict=True) if label != KEEP and p > 0]
        for labels, scores in zip(
            decoded.labels[first:last].tolist(), decoded.scores[first:last].tolist(), strict=True
        )
    ]
    hanja = "".join([spelling[label] for label in decoded.labels[first:last, 0].tolist()])
    return Chosen(hanja=hanja, units=units, score=score)


def alternatives_of(chosen: Chosen, words: Collection[str], limit: int) -> tuple[Alternative, ...]:
    """The best other spellings of a word, best first.

    Args:
        chosen: The word.
        words: The dictionary.
        limit: At most so many.
    """
    known = {hanja: p for hanja, p in _combinations(chosen.units) if hanja in words}
    found = known if known else _swapped(chosen, MAX_ALTERNATIVES)
    found.pop(chosen.hanja, None)
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    # Only one of them can be meant, so all together have no more than what the word leaves.
    share = min(1.0, max(0.0, 1 - chosen.score) / (sum(found.values()) or 1.0))
    return tuple(Alternative(hanja=hanja, score=p * share) for hanja, p in best[:limit])


def _combinations(units: list[list[tuple[str, float]]]) -> Iterator[tuple[str, float]]:
    """Combinations of the best candidates: as probable as the least probable of them (see `spans`)."""
    if len(units) < 2:
        return
    each = max(1, int(MOST_COMBINATIONS ** (1 / len(units)) + 1e-9))
    for parts in product(*(unit[:each] for unit in units)):
        yield "".join([hanja for hanja, _ in parts]), min(p for _, p in parts)


def _swapped(chosen: Chosen, limit: int) -> dict[str, float]:
    """The best words with units swapped; every swap costs its share of the word's probability.

    The best `limit` of them need no swap beyond the `limit` cheapest, since each by itself is a better word.
    """
    swaps = [
        (p / unit[0][1], at, hanja) for at, unit in enumerate(chosen.units) for hanja, p in unit[1:]
    ]
    combinations: list[tuple[float, dict[int, str]]] = [(chosen.score, {})]
    for share, at, hanja in sorted(swaps, key=lambda swap: -swap[0])[:limit]:
        combinations += [
            (score * share, {**swapped, at: hanja}) for score, swapped in combinations if at not in swapped
        ]
        combinations = sorted(combinations, key=lambda one: -one[0])[: limit + 1]
    letters = [unit[0][0] for unit in chosen.units]
    return {
        "".join([swapped.get(at, letter) for at, letter in enumerate(letters)]): score
        for score, swapped in combinations
    }
