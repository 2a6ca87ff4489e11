"""From units to words: maximal runs of converted units, with scores and alternatives."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import KEEP, LabelTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another spelling of a word and its probability."""

    hanja: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A converted word; offsets are half-open, in code points of the input.

    Attributes:
        score: product of the probabilities of its units.
    """

    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: tuple[Alternative, ...] = ()


class SpanOptions(Protocol):
    """The options that decide which spans there are."""

    @property
    def min_score(self) -> float:
        """Words below it stay Hangul."""

    @property
    def max_alternatives(self) -> int:
        """At most so many further spellings per word."""

    @property
    def first_occurrence_only(self) -> bool:
        """A word is converted only where it stands first."""


def spans_from(
    decoded: Decoded, text: str, labels: LabelTable, options: SpanOptions
) -> tuple[Span, ...]:
    """The converted words of a text, in order."""
    found, seen = [], set()
    for first, last in _runs(decoded):
        spelling = [labels.labels[label] for label in decoded.labels[first:last, 0].tolist()]
        start, end = int(decoded.start[first]), int(decoded.end[last - 1])
        score = float(np.prod(decoded.scores[first:last, 0], dtype=np.float64))
        word = Span(start=start, end=end, hangul=text[start:end], hanja="".join(spelling),
                    score=score, alternatives=_alternatives(decoded, first, last, labels, options)
                    )  # fmt: skip
        if word.score < options.min_score or (
            options.first_occurrence_only and (word.hangul, word.hanja) in seen
        ):
            continue
        seen.add((word.hangul, word.hanja))
        found.append(word)
    return tuple(found)


def _runs(decoded: Decoded) -> Iterator[tuple[int, int]]:
    """Ranges of adjacent converted units; a gap in the text between two tokens ends a run."""
    if len(decoded.labels) == 0:
        return
    converted = np.concatenate([[False], decoded.labels[:, 0] != KEEP, [False]])
    # A run also ends where the text between two units is not covered.
    apart = np.concatenate([[True], decoded.start[1:] != decoded.end[:-1], [True]])
    opens = np.flatnonzero(converted[1:-1] & (~converted[:-2] | apart[:-1]))
    closes = np.flatnonzero(converted[1:-1] & (~converted[2:] | apart[1:])) + 1
    yield from zip(opens.tolist(), closes.tolist(), strict=True)


def _alternatives(
    decoded: Decoded, first: int, last: int, labels: LabelTable, options: SpanOptions
) -> tuple[Alternative, ...]:
    """The next best spellings over the product of the units' candidates, KEEP left out."""
    if options.max_alternatives == 0:
        return ()
    columns = []
    for unit in range(first, last):
        pairs = zip(decoded.labels[unit].tolist(), decoded.scores[unit].tolist(), strict=True)
        columns.append([(labels.labels[n], p) for n, p in pairs if n != KEEP and p > 0])
    best = _k_best(columns, options.max_alternatives + 1)
    return tuple(Alternative(hanja=hanja, score=score) for hanja, score in best[1:])


def _k_best(columns: Sequence[list[tuple[str, float]]], count: int) -> list[tuple[str, float]]:
    """The `count` most probable paths, one entry from each column."""
    paths: list[tuple[str, float]] = [("", 1.0)]
    for column in columns:
        longer = [(word + hanja, score * p) for word, score in paths for hanja, p in column]
        paths = heapq.nlargest(count, longer, key=lambda path: path[1])
    return paths
