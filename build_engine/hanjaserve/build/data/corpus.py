"""Labelled sentences as arrays, laid end to end and cached in one .npz file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanjaserve.build.data.distant import Labels
from hanjaserve.build.data.spellings import LONGEST_WORD
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.vectors import Floats

MODERN, SCRIPTURE, STATUTE = 1, 2, 3
"""Styles: the token with which a sentence begins."""
LONGEST = 128
"""Characters that are kept of a sentence."""
MOST_SPELLINGS = 6
IMPOSSIBLE = np.float32(-1e9)
NO_EVIDENCE: Floats = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text and its labels.

    Attributes:
        style: the token that announces it.
        domain: whose weights its ambiguous words have.
    """

    style: int
    domain: str
    text: str
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Sentences laid end to end.

    Attributes:
        tokens: int32 [total] code points; each sentence begins with its style.
        masks: uint64 [total] allowed slots, 0 = unknown.
        starts: int64 [sentences + 1], where sentences begin in `tokens`.
        word_place: int32 [words], place of an ambiguous word in its sentence's tokens.
        word_id: int32 [words], its row in the tables below.
        word_starts: int64 [sentences + 1], where the words of a sentence begin in those two.
        word_evidence: float16 [words, MOST_SPELLINGS], what the context adds to its log weights.
        slots: int8 [rows, MOST_SPELLINGS, LONGEST_WORD], slots of each spelling, -1 fills up.
        log_weights: float32 [rows, MOST_SPELLINGS], IMPOSSIBLE fills up.
    """

    tokens: NDArray[np.int32]
    masks: NDArray[np.uint64]
    starts: NDArray[np.int64]
    word_place: NDArray[np.int32]
    word_id: NDArray[np.int32]
    word_starts: NDArray[np.int64]
    word_evidence: NDArray[np.float16]
    slots: NDArray[np.int8]
    log_weights: NDArray[np.float32]

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.starts) - 1

    def save(self, path: Path) -> None:
        """Writes the cache through a temporary name, so that a kill leaves no half file."""
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **{field.name: getattr(self, field.name) for field in fields(self)})
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Corpus":
        """Reads what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def join(
    sentences: Iterable[Sentence],
    tables: Tables,
    weights: Mapping[str, Mapping[str, Mapping[str, float]]],
    longest: int = LONGEST,
) -> Corpus:
    """Joins sentences; longer ones are cut at `longest` characters.

    Args:
        sentences: any number.
        tables: slots of the spellings.
        weights: domain -> ambiguous word -> its spellings with their weights, best first.
        longest: characters that are kept of a sentence.
    """
    tokens, masks, lengths = [], [], [0]
    places: list[int] = []
    ids: list[int] = []
    evidence: list[Floats] = []
    counts = [0]
    row_of: dict[tuple[str, str], int] = {}
    for sentence in sentences:
        text, labels = sentence.text[:longest], sentence.labels
        points = np.frombuffer(text.encode("utf-32-le"), np.int32)
        tokens.append(np.array([sentence.style], np.int32))
        tokens.append(np.clip(points, 0x20, 0xFFFF))
        masks.append(np.zeros(1, np.uint64))
        masks.append(labels.masks[:longest])
        lengths.append(1 + len(text))
        inside = [(at, word) for at, word in labels.words if at + len(word) <= len(text)]
        places += [1 + at for at, _ in inside]
        ids += [row_of.setdefault((sentence.domain, word), len(row_of)) for _, word in inside]
        evidence += [labels.evidence.get(at, NO_EVIDENCE)[:MOST_SPELLINGS] for at, _ in inside]
        counts.append(len(inside))
    rows = [(word, weights[domain][word]) for domain, word in row_of]
    slots, log_weights = _word_tables(rows, tables)
    return Corpus(
        tokens=np.concatenate(tokens).astype(np.int32),
        masks=np.concatenate(masks),
        starts=np.cumsum(lengths).astype(np.int64),
        word_place=np.array(places, np.int32),
        word_id=np.array(ids, np.int32),
        word_starts=np.cumsum(counts).astype(np.int64),
        word_evidence=_padded(evidence),
        slots=slots,
        log_weights=log_weights,
    )


def _padded(evidence: Sequence[Floats]) -> NDArray[np.float16]:
    rows = np.zeros((len(evidence), MOST_SPELLINGS), np.float16)
    for row, found in zip(rows, evidence, strict=True):
        row[: len(found)] = found
    return rows


def _word_tables(
    words: Sequence[tuple[str, Mapping[str, float]]], tables: Tables
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    slots = np.full((len(words), MOST_SPELLINGS, LONGEST_WORD), -1, np.int8)
    log_weights = np.full((len(words), MOST_SPELLINGS), IMPOSSIBLE, np.float32)
    for row, (word, spellings) in enumerate(words):
        for column, (spelling, weight) in enumerate(list(spellings.items())[:MOST_SPELLINGS]):
            slots[row, column, : len(word)] = tables.slots_of(word, spelling)
            log_weights[row, column] = np.log(weight)
    return slots, log_weights
