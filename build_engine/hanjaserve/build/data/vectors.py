"""What morphemes mean, as vectors: Kiwi knows how alike two of them are, and that is enough.

Kiwi tells cosines, not vectors. The cosines between all morphemes and a few hundred of them, the anchors,
give vectors with the same cosines; exactly so if there are more anchors than the vectors have dimensions
(the Nyström method: Williams and Seeger, "Using the Nyström Method to Speed Up Kernel Machines", 2001).
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Morph = tuple[str, str]
"""Form and tag of the Sejong corpus."""
Floats = NDArray[np.float32]

ANCHORS = 320
"""Kiwi's vectors were seen to have 255 dimensions."""
LEAST_EIGENVALUE = 1e-2
MEANINGFUL = frozenset({"NNG", "NNP", "XR", "VV", "VA"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Vectors of length 1, whose mean was taken off before: all words are somewhat alike.

    Attributes:
        rows: where a morpheme's vector is; one form may be several morphemes.
        values: float32 [morphemes, dimensions].
    """

    rows: Mapping[Morph, int]
    values: Floats

    def row_of_noun(self, form: str) -> int | None:
        """Where the vector of a noun or root is."""
        for tag in ("NNG", "NNP", "XR"):
            if (form, tag) in self.rows:
                return self.rows[form, tag]
        return None

    def rows_of(self, morphemes: Collection[Morph]) -> list[int]:
        """Where the vectors of those are that have one; nouns of one syllable mean too many things."""
        telling = (morph for morph in morphemes if len(morph[0]) > 1 or morph[1][0] == "V")
        return [self.rows[morph] for morph in telling if morph in self.rows]


def make_vectors(kiwi: Any, seed: int = 42) -> Vectors:
    """Vectors of everything that Kiwi can compare with 수도; takes a minute."""
    known = _alike(kiwi, ("수도", "NNG"))
    row = {found.id: number for number, found in enumerate(known)}
    nouns = [found for found in known if found.tag == "NNG" and len(found.form) > 1]
    anchors = random.Random(seed).sample(nouns, ANCHORS)
    cosines = np.zeros((len(known), ANCHORS), np.float32)
    for column, anchor in enumerate(anchors):
        for found in _alike(kiwi, (anchor.form, anchor.tag)):
            if found.id in row:
                cosines[row[found.id], column] = found.score
        cosines[row[anchor.id], column] = 1.0
    values = _with_cosines(cosines, [row[anchor.id] for anchor in anchors])
    rows: dict[Morph, int] = {}
    for number, found in enumerate(known):
        if found.tag in MEANINGFUL:
            rows.setdefault((found.form, found.tag), number)
    return Vectors(rows=rows, values=_centred(values))


def _alike(kiwi: Any, morpheme: Morph) -> Sequence[Any]:
    """Every morpheme with its cosine; the one asked for comes last, with a score that is no cosine."""
    found: Sequence[Any] = kiwi.most_similar_morphemes(morpheme, top_n=1_000_000)
    return found


def _with_cosines(cosines: Floats, anchors: list[int]) -> Floats:
    """Vectors [n, d] whose products are the cosines [n, anchors]; `anchors` are rows of it."""
    among = cosines[anchors].astype(np.float64)
    values, directions = np.linalg.eigh((among + among.T) / 2)
    used = values > LEAST_EIGENVALUE
    found: Floats = (cosines @ (directions[:, used] / np.sqrt(values[used]))).astype(np.float32)
    return found


def _centred(values: Floats) -> Floats:
    centred = values - values.mean(axis=0)
    lengths: Floats = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = centred / np.maximum(lengths, np.float32(1e-6))
    return unit
