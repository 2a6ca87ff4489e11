"""Which spelling of an ambiguous word its context means: 의사 beside 병원 is 醫師, beside 표시 意思.

Three kinds of evidence, none of them a sentence that anyone labelled:
- a noun with which the word makes a compound that the dictionary has (교통, 사고: 交通事故) decides;
- otherwise the more a context is like a sense, the likelier is that sense. What a sense is like is the mean
  of its partners in compounds, of its companions in our phrases, and of the words in use that have its Hanja
  and no doubt (醫院, 醫術, 醫學);
- a companion of one sense makes that sense likelier still.

On 549 words of court sentences whose writers gave the Hanja because it was doubtful, the most common spelling
of the dictionary is right for 39 %, and 53 % with the second kind; on 252 ambiguous words of user interfaces,
where there is hardly a doubt, it is 95 % with and without.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import permutations

import numpy as np

from hanjaserve.build.data.compounds import Compound
from hanjaserve.build.data.phrases import Companions
from hanjaserve.build.data.vectors import Floats, Morph, Vectors

SHARPNESS = 4.0
"""What one morpheme of the context that is exactly like a sense adds to the log of its weight."""
COMPANY = 3.0
"""What each companion of a sense in the context adds to it, too."""
MOST_COMPANIONS = 2


class Senses:
    """Tells the senses of ambiguous words.

    Args:
        compounds: where the senses of their parts are known.
        spellings: word -> how it may be spelt, best first.
        vectors: of morphemes; without them, only compounds tell anything.
        in_use: words that people write, as dictionaries also have others.
        companions: what stands with each sense in our phrases.
    """

    def __init__(
        self,
        compounds: Iterable[Compound] = (),
        spellings: Mapping[str, Sequence[str]] | None = None,
        vectors: Vectors | None = None,
        in_use: Collection[str] = (),
        companions: Companions | None = None,
    ) -> None:
        self._partners: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for compound in compounds:
            for (word, spelling), (other, _) in permutations(compound, 2):
                # In text, the analyser parts 논리+적.
                self._partners[word][spelling] |= {other, other.removesuffix("적")}
        self._spellings = spellings or {}
        self._companions = companions or {}
        self._vectors = vectors
        self._of_hanja = _vectors_of_hanja(self._spellings, vectors, in_use) if vectors else {}
        self._of_word: dict[str, Floats] = {}

    def of(self, word: str, neighbours: Collection[str]) -> str | None:
        """The spelling whose compounds have one of the neighbours; None if none or several do."""
        fitting = [
            spelling
            for spelling, partners in self._partners.get(word, {}).items()
            if not partners.isdisjoint(neighbours)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def evidence(self, word: str, context: Collection[Morph]) -> Floats | None:
        """What a context adds to the log weights of a word's spellings: float32 [spellings].

        None if the context tells nothing.
        """
        if word not in self._spellings:
            return None
        found = self._company(word, context)
        rows = self._vectors.rows_of(context) if self._vectors is not None else []
        if self._vectors is not None and rows:
            found += SHARPNESS * (self.vectors_of(word) @ self._vectors.values[rows].sum(axis=0))
        relative: Floats = found - found.max()
        return relative if rows or relative.any() else None

    def _company(self, word: str, context: Collection[Morph]) -> Floats:
        """What the companions of each spelling in the context add: float32 [spellings]."""
        companions = self._companions.get(word, {})
        found = [companions.get(spelling, frozenset()) for spelling in self._spellings[word]]
        present = [min(MOST_COMPANIONS, len(those.intersection(context))) for those in found]
        return np.float32(COMPANY) * np.array(present, np.float32)

    def vectors_of(self, word: str) -> Floats:
        """Float32 [spellings, dimensions], each of length 1, or 0 for a sense of which nothing is known."""
        if word not in self._of_word:
            assert self._vectors is not None
            senses = [self._vector(word, spelling) for spelling in self._spellings[word]]
            self._of_word[word] = np.stack(senses)
        return self._of_word[word]

    def _vector(self, word: str, spelling: str) -> Floats:
        assert self._vectors is not None
        total = np.zeros(self._vectors.values.shape[1], np.float32)
        for hanja in spelling:
            total += self._of_hanja.get(hanja, np.float32(0))
        partners = sorted(self._partners.get(word, {}).get(spelling, ()))
        rows = [row for other in partners if (row := self._vectors.row_of_noun(other)) is not None]
        if rows:
            total += self._vectors.values[rows].mean(axis=0)
        rows = self._vectors.rows_of(self._companions.get(word, {}).get(spelling, ()))
        if rows:
            total += self._vectors.values[rows].mean(axis=0)
        return total / max(float(np.linalg.norm(total)), 1e-6)


def _vectors_of_hanja(
    spellings: Mapping[str, Sequence[str]], vectors: Vectors, in_use: Collection[str]
) -> dict[str, Floats]:
    """The mean of the words with a Hanja, of those that are spelt in one way alone, and in use if any is."""
    rows: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for word, found in spellings.items():
        row = vectors.row_of_noun(word) if len(found) == 1 else None
        if row is not None:
            for hanja in found[0]:
                rows[hanja][word in in_use].append(row)
    return {hanja: vectors.values[used or rare].mean(axis=0) for hanja, (rare, used) in rows.items()}
