"""Annotated words: sentences in which the writer says in parentheses which Hanja is meant.

The annotations of a court are those of hard words, rare senses and single syllables, so a share of right
ones says how good a model is where a reader needs help, not how good it is on a text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hanjaserve.build.readings import ReadingTable

Note = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """A word that its writer spelt: what it is, what it became, and the sentence's number."""

    sentence: int
    hangul: str
    gold: str
    found: str


def annotated_words(
    sentences: Sequence[tuple[str, Sequence[Note]]], converted: Sequence[str], readings: ReadingTable
) -> Iterator[Annotated]:
    """The annotated words of sentences, without annotations that are no reading, as in 여부(積極)."""
    for number, ((text, notes), result) in enumerate(zip(sentences, converted, strict=True)):
        for start, hanja in notes:
            stop = start + len(hanja)
            word = text[start:stop]
            if all(h in readings.of.get(j, ()) for h, j in zip(word, hanja, strict=True)):
                yield Annotated(sentence=number, hangul=word, gold=hanja, found=result[start:stop])


def share_right(
    words: Sequence[Annotated], resamples: int = 1000, seed: int = 42
) -> tuple[float, float, float]:
    """Share of words that are right, with a 95 % bootstrap interval over sentences."""
    sentences = 1 + max((word.sentence for word in words), default=0)
    owner = np.array([word.sentence for word in words], np.int64)
    right = np.bincount(owner, [word.gold == word.found for word in words], minlength=sentences)
    every = np.bincount(owner, minlength=sentences).astype(np.float64)
    random = np.random.default_rng(seed)
    drawn = random.integers(sentences, size=(resamples, sentences))
    shares = right[drawn].sum(axis=1) / np.maximum(every[drawn].sum(axis=1), 1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(right.sum() / every.sum()), float(low), float(high)


def confusions(words: Iterable[Annotated], least: int = 3) -> list[tuple[str, str, int, int, str]]:
    """Homographs, that is words which the annotations spell in several ways.

    Returns:
        Per spelling (hangul, gold, right, occurrences, the commonest mistake or ""), the frequent first;
        words that occur less than `least` times are left out.
    """
    found: dict[tuple[str, str], Counter[str]] = {}
    for word in words:
        found.setdefault((word.hangul, word.gold), Counter())[word.found] += 1
    spellings = Counter(hangul for hangul, _ in found)
    rows = []
    for (hangul, gold), results in found.items():
        if spellings[hangul] > 1 and len(hangul) > 1 and results.total() >= least:
            mistakes = [result for result, _ in results.most_common() if result != gold]
            rows.append((hangul, gold, results[gold], results.total(), next(iter(mistakes), "")))
    return sorted(rows, key=lambda row: (-row[3], row[0]))
