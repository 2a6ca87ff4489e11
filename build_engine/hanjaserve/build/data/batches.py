"""Batches of a corpus: similar lengths together, in an order that seed and epoch alone decide."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hanjaserve.build.data.corpus import Corpus

DECIDED = 3.0
"""Exponent of the weights of spellings: the best one of a context should come out, not a draw."""
CHUNK = 8192
"""Sentences that are sorted by length together; the smaller, the more random the batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Padded sentences and their labels.

    Attributes:
        tokens: int64 [b, t].
        masks: int64 [b, t]; bit n allows slot n, 0 = position without a label.
        word_row: int64 [words], the sentence of each ambiguous word.
        word_place: int64 [words], where it begins.
        word_slots: int64 [words, spellings, syllables], -1 fills up.
        word_weights: float32 [words, spellings], of each word in its context; they sum to 1.
    """

    tokens: Tensor
    masks: Tensor
    word_row: Tensor
    word_place: Tensor
    word_slots: Tensor
    word_weights: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def orders(corpus: Corpus, epoch: int, seed: int, batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Sentence numbers of each batch of an epoch; a batch has up to `batch_tokens`, padding included."""
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(corpus))
    lengths = np.diff(corpus.starts)
    found = []
    for chunk in np.array_split(order, max(1, len(order) // CHUNK)):
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        first = 0
        while first < len(chunk):
            last = first + 1
            while last < len(chunk) and (last + 1 - first) * lengths[chunk[last]] <= batch_tokens:
                last += 1
            found.append(chunk[first:last])
            first = last
    rng.shuffle(found)
    yield from found


def collate(corpus: Corpus, numbers: NDArray[np.int64]) -> Batch:
    """The batch of some sentences."""
    starts, stops = corpus.starts[numbers], corpus.starts[numbers + 1]
    lengths = stops - starts
    tokens = np.zeros((len(numbers), int(lengths.max())), np.int64)
    masks = np.zeros_like(tokens)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    tokens[inside] = _joined(corpus.tokens, starts, stops)
    masks[inside] = _joined(corpus.masks, starts, stops)
    first, last = corpus.word_starts[numbers], corpus.word_starts[numbers + 1]
    word = _joined(corpus.word_id, first, last)
    evidence = _joined(corpus.word_evidence, first, last).astype(np.float32)
    return Batch(
        tokens=torch.from_numpy(tokens),
        masks=torch.from_numpy(masks),
        word_row=torch.from_numpy(np.repeat(np.arange(len(numbers)), last - first)),
        word_place=torch.from_numpy(_joined(corpus.word_place, first, last).astype(np.int64)),
        word_slots=torch.from_numpy(corpus.slots[word].astype(np.int64)),
        word_weights=torch.softmax(DECIDED * torch.from_numpy(corpus.log_weights[word] + evidence), -1),
    )


def _joined(
    values: NDArray[np.generic], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.generic]:
    parts = [values[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    return np.concatenate(parts)
