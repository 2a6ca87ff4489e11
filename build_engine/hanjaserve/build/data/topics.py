"""Draws ambiguous words together with nouns that are like one of their senses: 의사 with 병원, with 표시.

The only text whose senses somebody told is law and the Bible: a model never sees 의사 in a hospital there.
What the vectors of morphemes know of everyday words reaches it in this way.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanjaserve.build.data.senses import Senses
from hanjaserve.build.data.spellings import Weights
from hanjaserve.build.data.vectors import Floats, Vectors

TOPICS = 60
"""Nouns of a topic: those that are most like the sense."""
MOST_NOUNS = 3
CHUNK = 512
"""Senses that are compared with all nouns at once."""
RARER = 0.5
"""Exponent of frequencies and weights: rare words and senses are drawn more often than they are met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """An ambiguous word in the sense of one spelling, with nouns that are like it."""

    word: str
    spelling: str
    nouns: tuple[str, ...]
    weight: float

    def draw(self, usage: Mapping[str, float], chance: random.Random) -> list[str]:
        """The word among one to MOST_NOUNS of its nouns, in any order."""
        weights = [usage[noun] ** RARER for noun in self.nouns]
        nouns = list(dict.fromkeys(chance.choices(self.nouns, weights, k=chance.randint(1, MOST_NOUNS))))
        nouns.insert(chance.randint(0, len(nouns)), self.word)
        return nouns


def make_topics(
    spellings: Mapping[str, Weights], usage: Mapping[str, float], senses: Senses, vectors: Vectors
) -> list[Topic]:
    """A topic for every sense of every ambiguous word in use.

    Args:
        spellings: word -> its spellings with their weights, in the order that `senses` knows.
        usage: nouns and their frequencies.
        senses: tells what a spelling means.
        vectors: tells what a noun means.
    """
    row_of = {noun: row for noun in usage if (row := vectors.row_of_noun(noun)) is not None}
    nouns, values = list(row_of), vectors.values[list(row_of.values())]
    words = [word for word in usage if len(spellings.get(word, ())) > 1]
    keys, meant = [], []
    for word in words:
        for spelling, vector in zip(spellings[word], senses.vectors_of(word), strict=True):
            if vector.any():
                keys.append((word, spelling))
                meant.append(vector)
    found = []
    for (word, spelling), rows in zip(keys, _most_like(meant, values), strict=True):
        others = tuple(nouns[row] for row in rows if nouns[row] != word)
        weight = (usage[word] * spellings[word][spelling]) ** RARER
        found.append(Topic(word=word, spelling=spelling, nouns=others, weight=weight))
    return found


def _most_like(meant: Sequence[Floats], values: Floats) -> Iterator[NDArray[np.int64]]:
    """For each of `meant` [d], the rows of `values` [n, d] that are most like it, TOPICS in any order."""
    count = min(TOPICS, len(values))
    for start in range(0, len(meant), CHUNK):
        like = np.stack(meant[start : start + CHUNK]) @ values.T
        yield from np.argpartition(-like, count - 1, axis=1)[:, :count]


def topical(topics: Sequence[Topic], count: int, chance: random.Random) -> list[Topic]:
    """Topics drawn by their weights; none if there are none."""
    return chance.choices(topics, [topic.weight for topic in topics], k=count) if topics else []
