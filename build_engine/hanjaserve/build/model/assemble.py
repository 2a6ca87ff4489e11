"""A fresh model from the tables: sizes into the configuration, tables into the buffers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanjaserve.build.data.tables import Tables, build_trie
from hanjaserve.build.model.classifier import HanjaTokenClassifier
from hanjaserve.build.model.configuration import HanjaConfig


def assemble(tables: Tables, seed: int = 42, **overrides: Any) -> HanjaTokenClassifier:
    """Builds an untrained model whose tables are filled."""
    torch.manual_seed(seed)
    words = sorted(tables.spellings)
    trie = build_trie(words)
    label_of = {hanja: number for number, hanja in enumerate(tables.labels)}
    config = HanjaConfig(
        char_vocab_size=tables.char_vocab_size,
        num_readings=len(tables.slots) + 1,
        num_hanja=len(tables.labels),
        trie_size=len(trie.base),
        num_words=len(words) + 1,
        num_spellings=1 + sum(map(len, tables.spellings.values())),
        **overrides,
    )
    model = HanjaTokenClassifier(config)
    lexicon = model.lexicon
    for name in ("code", "base", "check", "word"):
        getattr(lexicon, name).copy_(torch.from_numpy(getattr(trie, name)))
    first, hanja = [1, 1], [[0] * config.max_word]
    for word in words:
        for spelling in tables.spellings[word]:
            ids = [0 if h == j else label_of[j] for h, j in zip(word, spelling, strict=True)]
            hanja.append(ids + [0] * (config.max_word - len(ids)))
        first.append(len(hanja))
    lexicon.first.copy_(torch.tensor(first, dtype=torch.int32))
    lexicon.hanja.copy_(torch.tensor(hanja, dtype=torch.int32).flatten())
    model.char_id.copy_(torch.from_numpy(tables.char_id))
    model.candidates.copy_(_candidates(tables, label_of, config.num_candidates))
    reading = np.zeros(0x10000, np.int32)
    for number, syllable in enumerate(tables.slots, 1):
        reading[ord(syllable)] = number
    model.reading_id.copy_(torch.from_numpy(reading))
    return model


def _candidates(tables: Tables, label_of: dict[str, int], width: int) -> Tensor:
    table = np.full((len(tables.slots) + 1, width), -1, np.int32)
    table[:, 0] = 0
    for number, found in enumerate(tables.slots.values(), 1):
        for hanja, slot in found.items():
            table[number, slot] = label_of[hanja]
    return torch.from_numpy(table)
