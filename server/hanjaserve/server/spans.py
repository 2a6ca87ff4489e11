"""Words: maximal runs of converted units, with a probability and other spellings.

A run ends where a unit is kept or where there is text between two units. Its probability is the
product of its units'; its alternatives are the most probable other combinations of candidates.

Not here: how a word is written into the text (rendering), and what a unit is (codec).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import KEEP, LabelTable
from hanjaserve.server.options import Options

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another spelling of a word and its probability."""

    hanja: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A converted word.

    Attributes:
        start: Where it begins in the input, in code points.
        end: Where it ends, exclusive.
        hangul: What is there in the input.
        hanja: What replaces it.
        score: Its probability.
        alternatives: Other spellings, best first.
    """

    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs of converted units.

    Attributes:
        first: int64 [runs], their first units.
        last: int64 [runs], exclusive.
        scores: float64 [runs].
    """

    first: Ints
    last: Ints
    scores: Floats


def find_runs(decoded: Decoded) -> Runs:
    """Find all words, whatever their probability."""
    converted = decoded.converted
    joined = converted[:-1] & converted[1:] & (decoded.end[:-1] == decoded.start[1:])
    begins, ends = converted.copy(), converted.copy()
    begins[1:] &= ~joined
    ends[:-1] &= ~joined
    first = np.flatnonzero(begins)
    if len(first) == 0:
        return Runs(first=first, last=first, scores=np.zeros(0))
    # A reduction goes on up to the next run; the kept units between them count as 1.
    factors = np.where(converted, decoded.scores[:, 0], 1.0).astype(np.float64)
    scores = np.multiply.reduceat(factors, first)
    return Runs(first=first, last=np.flatnonzero(ends) + 1, scores=scores)


def chosen_units(decoded: Decoded, min_score: float) -> npt.NDArray[np.bool_]:
    """Which units belong to a word with at least that probability: bool [units]."""
    if min_score <= 0:
        return decoded.converted
    runs = find_runs(decoded)
    enough = runs.scores >= min_score
    steps = np.zeros(len(decoded.start) + 1, dtype=np.int32)
    steps[runs.first[enough]] += 1
    steps[runs.last[enough]] -= 1
    return np.cumsum(steps[:-1]) > 0


def spans_from(
    decoded: Decoded,
    text: str,
    labels: LabelTable,
    options: Options,
    *,
    seen: set[tuple[str, str]] | None = None,
) -> tuple[Span, ...]:
    """Words of a text, as the options want them.

    Args:
        decoded: Units of `text`.
        text: The input.
        labels: What labels stand for.
        options: min_score, max_alternatives and first_occurrence_only are looked at.
        seen: Words that have occurred before this text; those of this text are added to it.

    Example:
        Of 수도는 with the labels 首, 都, KEEP: one span, 0 to 2, 수도, 首都.
    """
    return tuple(_spans(decoded, text, labels, options, set() if seen is None else seen))


def _spans(
    decoded: Decoded,
    text: str,
    labels: LabelTable,
    options: Options,
    seen: set[tuple[str, str]],
) -> Iterator[Span]:
    runs = find_runs(decoded)
    spelling = labels.labels
    best = decoded.labels[:, 0].tolist()
    losses = _losses(decoded) if options.max_alternatives else None
    starts, ends = decoded.start[runs.first].tolist(), decoded.end[runs.last - 1].tolist()
    firsts, lasts, scores = runs.first.tolist(), runs.last.tolist(), runs.scores.tolist()
    for start, end, first, last, score in zip(starts, ends, firsts, lasts, scores, strict=True):
        if score < options.min_score:
            continue
        hangul = text[start:end]
        hanja = "".join([spelling[label] for label in best[first:last]])
        if options.first_occurrence_only:
            if (hangul, hanja) in seen:
                continue
            seen.add((hangul, hanja))
        others: tuple[Alternative, ...] = ()
        if losses is not None:
            others = _alternatives(
                decoded.labels[first:last], losses[first:last], spelling, score,
                options.max_alternatives,
            )  # fmt: skip
        yield Span(start=start, end=end, hangul=hangul, hanja=hanja, score=score, alternatives=others)


def _losses(decoded: Decoded) -> Floats:
    """What taking another candidate costs: log of (best / other), infinite if there is none."""
    scores = decoded.scores.astype(np.float64)
    usable = (decoded.labels[:, 1:] != KEEP) & (scores[:, 1:] > 0) & (scores[:, :1] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = np.log(scores[:, :1]) - np.log(scores[:, 1:])
    return np.where(usable, losses, np.inf)


def _alternatives(
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
