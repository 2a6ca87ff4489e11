"""Starts a model from the weights of an earlier one, whose tables may be others.

A new lexicon or more text gives Hanja, characters and spellings other numbers. What a weight belongs to
is therefore looked up by content: a Hanja, a code point, a word's spelling. Layers that the earlier model has
not change nothing at first (T. Chen, I. Goodfellow, J. Shlens: Net2Net, ICLR 2016).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanjaserve.build.model.classifier import HanjaTokenClassifier
from hanjaserve.build.model.lexicon import MAX_SPELLINGS, MAX_WORD, SLOTS

BY_HANJA = ("candidates.hanja.weight", "candidates.bias.weight")
BY_CHARACTER = "char.weight"
BY_SPELLING = "spelling_bias.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A model and its labels: Hanja by number, the first of which is KEEP, the empty string."""

    model: HanjaTokenClassifier
    labels: Sequence[str]


@torch.no_grad()
def take_weights(new: Labelled, old: Labelled, words: Sequence[str]) -> list[str]:
    """Gives a model the weights of an earlier one.

    Args:
        new: what is to be trained; changed in place.
        old: what was trained before.
        words: of the new dictionary.

    Returns:
        Names of the parameters that stay as they are, as the old model has none of that name and shape.
    """
    taken = dict(old.model.named_parameters())
    fresh = []
    for name, parameter in new.model.named_parameters():
        if name == BY_CHARACTER:
            _take_rows(parameter, taken[name], _characters(new.model, old.model))
        elif name in BY_HANJA:
            number = {hanja: row for row, hanja in enumerate(old.labels)}
            pairs = ((row, number[hanja]) for row, hanja in enumerate(new.labels) if hanja in number)
            _take_rows(parameter, taken[name], pairs)
        elif name == BY_SPELLING:
            _take_rows(parameter, taken[name], _spelling_rows(new, old, words))
        elif name in taken and taken[name].shape == parameter.shape:
            parameter.copy_(taken[name])
        else:
            fresh.append(name)
    new.model.encoder.pass_through(len(old.model.encoder.layers))
    return fresh


def _take_rows(new: Tensor, old: Tensor, pairs: Iterator[tuple[int, int]]) -> None:
    rows, sources = zip(*pairs, strict=True)
    new[list(rows)] = old[list(sources)]


def _characters(new: HanjaTokenClassifier, old: HanjaTokenClassifier) -> Iterator[tuple[int, int]]:
    """(new row, old row) of every character; what shares a row shares it in both, or gets the first's."""
    pairs = dict(zip(reversed(new.char_id.tolist()), reversed(old.char_id.tolist()), strict=True))
    return iter(pairs.items())


def _spelling_rows(new: Labelled, old: Labelled, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(new row, old row) of every spelling of a word that both know; row 0 is none."""
    before = dict(_spellings(old, words))
    yield 0, 0
    for key, row in _spellings(new, words):
        if key in before:
            yield row, before[key]


def _spellings(of: Labelled, words: Sequence[str]) -> Iterator[tuple[tuple[str, str], int]]:
    """((word, spelling), its row) of those words that the model's dictionary has."""
    lexicon, candidates = of.model.lexicon, of.model.candidates
    points = [[*map(ord, word)] + [0] * (MAX_WORD - len(word)) for word in words]
    found = torch.stack(lexicon.words_at(torch.tensor(points, dtype=torch.int32)), dim=-1)[:, 0].tolist()
    packed, label = lexicon.spelling.tolist(), candidates.label.tolist()
    reading = of.model.reading_id.tolist()
    for word, entries in zip(words, found, strict=True):
        first, count = divmod(entries[len(word) - 1], MAX_SPELLINGS)
        for row in range(first, first + count):
            slots = [packed[row] // SLOTS**place % SLOTS for place in range(len(word))]
            hanja = [
                of.labels[label[reading[ord(syllable)]][slot]] if slot else syllable
                for syllable, slot in zip(word, slots, strict=True)
            ]
            yield (word, "".join(hanja)), row
