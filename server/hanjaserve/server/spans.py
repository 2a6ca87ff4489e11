"""Words: converted units that belong together, with a probability and other spellings.

A run of converted units ends where a unit is kept or where there is text between two units; the
dictionary cuts it into words. A word is as probable as the least probable of its units: they are chosen
together, and their product would count one doubt several times (docs/decisions/064-word-scores.md).

Not here: how a word is written into the text (rendering), what a unit is (codec), and words that are
decided without the model (marks).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanjaserve.server.alternatives import Alternative, alternatives_of, chosen_word
from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import KEEP, LabelTable
from hanjaserve.server.options import Options
from hanjaserve.server.words import Words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Source(Enum):
    """Where a span comes from."""

    MODEL = "model"
    GLOSSARY = "glossary"
    READING = "reading"
    """Hanja of the input with their reading."""
    KEPT = "kept"
    """Text that stays."""


class Span(NamedTuple):
    """A converted word, or text that stays; a tuple, since a text has many, and one of these is made quickly.

    Attributes:
        start: Where it begins in the input, in code points.
        end: Where it ends, exclusive.
        hangul: The word in Hangul; the input itself, unless `source` is READING.
        hanja: The word in Hanja; empty if it is kept.
        score: Its probability.
        alternatives: Other spellings, best first.
        source: Where it comes from.
    """

    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: tuple[Alternative, ...] = ()
    source: Source = Source.MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs of converted units, or words in them.

    Attributes:
        first: int64 [runs], their first units.
        last: int64 [runs], exclusive.
        scores: float64 [runs].
    """

    first: Ints
    last: Ints
    scores: Floats


def find_words(decoded: Decoded, labels: LabelTable, words: Words) -> Runs:
    """Find all words, whatever their probability."""
    first, last = _runs(decoded)
    if len(first) and words.words:
        first, last = _split(decoded, labels, words, first, last)
    if len(first) == 0:
        return Runs(first=first, last=last, scores=np.zeros(0))
    # A reduction goes on up to the next word; the kept units between them count as 1.
    factors = np.where(decoded.converted, decoded.scores[:, 0], 1.0).astype(np.float64)
    return Runs(first=first, last=last, scores=np.minimum.reduceat(factors, first))


def _runs(decoded: Decoded) -> tuple[Ints, Ints]:
    converted = decoded.converted
    joined = converted[:-1] & converted[1:] & (decoded.end[:-1] == decoded.start[1:])
    begins, ends = converted.copy(), converted.copy()
    begins[1:] &= ~joined
    ends[:-1] &= ~joined
    return np.flatnonzero(begins), np.flatnonzero(ends) + 1


def _split(decoded: Decoded, labels: LabelTable, words: Words, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Cut runs into words; only for the syllable scheme, where a label is one Hanja."""
    points = labels.code_points[decoded.labels[:, 0]]
    hanja = points.astype("<u4").tobytes().decode("utf-32-le")
    starts: list[int] = []
    ends: list[int] = []
    for start, end in zip(first.tolist(), last.tolist(), strict=True):
        at = start
        for length in words.split(hanja[start:end]):
            starts.append(at)
            at += length
            ends.append(at)
    return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)


def chosen_units(
    decoded: Decoded, labels: LabelTable, words: Words, min_score: float
) -> npt.NDArray[np.bool_]:
    """Which units belong to a word with at least that probability: bool [units]."""
    if min_score <= 0:
        return decoded.converted
    found = find_words(decoded, labels, words)
    enough = found.scores >= min_score
    steps = np.zeros(len(decoded.start) + 1, dtype=np.int32)
    steps[found.first[enough]] += 1
    steps[found.last[enough]] -= 1
    return np.cumsum(steps[:-1]) > 0


def without(decoded: Decoded, stretches: Sequence[tuple[int, int]]) -> Decoded:
    """Keep every unit that touches one of the stretches [start, end) of the text."""
    labels = decoded.labels.copy()
    for start, end in stretches:
        first = int(np.searchsorted(decoded.end, start, side="right"))
        last = int(np.searchsorted(decoded.start, end, side="left"))
        labels[first:last] = KEEP
    return Decoded(start=decoded.start, end=decoded.end, labels=labels, scores=decoded.scores)


def spans_from(
    decoded: Decoded, text: str, labels: LabelTable, options: Options, *, words: Words | None = None
) -> Iterator[Span]:
    """Words of a text that the model converts, as the options want them.

    Args:
        decoded: Units of `text`.
        text: The input.
        labels: What labels stand for.
        options: min_score, max_alternatives and characters are looked at.
        words: The dictionary; without one a word is a run.

    Example:
        Of 수도는 with the labels 首, 都, KEEP: one span, 0 to 2, 수도, 首都.
    """
    yield from next(spans_of_each(decoded, text, [(0, len(text))], labels, options, words=words or Words()))


def spans_of_each(
    decoded: Decoded,
    text: str,
    bounds: Sequence[tuple[int, int]],
    labels: LabelTable,
    options: Options,
    *,
    words: Words,
) -> Iterator[list[Span]]:
    """Words of several texts; see `spans_from`.

    Args:
        decoded: Units of all texts.
        text: The texts, joined by a character between them, over which no word goes.
        bounds: (start, end) of every text in `text`; its offsets count from that start.
        labels: What labels stand for.
        options: See `spans_from`.
        words: The dictionary.
    """
    found = _found(decoded, labels, options, words)
    word = next(found, None)
    for begin, stop in bounds:
        own: list[Span] = []
        # A unit may be empty and sit at the very end of its text.
        while word is not None and word[0] <= stop:
            start, end, hanja, score, others = word
            own.append(Span(start - begin, end - begin, text[start:end], hanja, score, others))
            word = next(found, None)
        yield own


def _found(
    decoded: Decoded, labels: LabelTable, options: Options, words: Words
) -> Iterator[tuple[int, int, str, float, tuple[Alternative, ...]]]:
    """Where each word begins and ends, what it becomes, its probability, its alternatives."""
    found = find_words(decoded, labels, words)
    spelling, characters = labels.labels, options.characters
    best = decoded.labels[:, 0].tolist()
    starts, ends = decoded.start[found.first].tolist(), decoded.end[found.last - 1].tolist()
    firsts, lasts, scores = found.first.tolist(), found.last.tolist(), found.scores.tolist()
    for start, end, first, last, score in zip(starts, ends, firsts, lasts, scores, strict=True):
        if score < options.min_score:
            continue
        hanja = "".join([spelling[label] for label in best[first:last]])
        if characters is not None and not characters.issuperset(hanja):
            continue
        others: tuple[Alternative, ...] = ()
        if options.max_alternatives:
            chosen = chosen_word(decoded, spelling, first, last, score)
            others = alternatives_of(chosen, words.words, options.max_alternatives)
            if characters is not None:
                others = tuple(other for other in others if characters.issuperset(other.hanja))
        yield start, end, hanja, score, others
