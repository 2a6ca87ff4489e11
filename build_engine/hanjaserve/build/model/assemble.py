"""A fresh model from the tables: sizes into the configuration, tables into the buffers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.trie import build_trie
from hanjaserve.build.model.classifier import HanjaTokenClassifier
from hanjaserve.build.model.configuration import HanjaConfig
from hanjaserve.build.model.lexicon import MAX_SPELLINGS, MAX_WORD, SLOTS


def assemble(tables: Tables, seed: int = 42, **overrides: Any) -> HanjaTokenClassifier:
    """Builds an untrained model whose tables are filled."""
    torch.manual_seed(seed)
    words = sorted(tables.spellings)
    trie = build_trie(words)
    spellings, entry_of = _spellings(tables, words)
    config = HanjaConfig(
        char_vocab_size=tables.char_vocab_size,
        num_readings=len(tables.slots) + 1,
        num_hanja=len(tables.labels),
        trie_size=len(trie.base),
        num_spellings=len(spellings),
        **overrides,
    )
    model = HanjaTokenClassifier(config)
    lexicon = model.lexicon
    for name in ("code", "base", "check"):
        getattr(lexicon, name).copy_(torch.from_numpy(getattr(trie, name)))
    lexicon.word.copy_(torch.from_numpy(entry_of[trie.word]))
    lexicon.spelling.copy_(torch.from_numpy(spellings))
    model.char_id.copy_(torch.from_numpy(tables.char_id))
    model.char.set_finals(model.char_id)
    model.candidates.label.copy_(_candidates(tables))
    reading = np.zeros(0x10000, np.int32)
    for number, syllable in enumerate(tables.slots, 1):
        reading[ord(syllable)] = number
    model.reading_id.copy_(torch.from_numpy(reading))
    return model


def _spellings(tables: Tables, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Packed spellings int32 [rows], and where those of word n (from 1) are: int32 [words + 1]."""
    rows, entries = [0], [0]
    for word in words:
        found = tables.spellings[word]
        entries.append(len(rows) * MAX_SPELLINGS + len(found))
        rows += [_packed(tables, word, spelling) for spelling in found]
    return np.array(rows, np.int32), np.array(entries, np.int32)


def _packed(tables: Tables, word: str, spelling: str) -> int:
    if len(word) > MAX_WORD:
        raise ValueError(f"{word} has {len(word)} syllables, the limit is {MAX_WORD}")
    return sum(slot * SLOTS**at for at, slot in enumerate(tables.slots_of(word, spelling)))


def _candidates(tables: Tables) -> Tensor:
    table = np.full((len(tables.slots) + 1, SLOTS), -1, np.int32)
    table[:, 0] = 0
    label_of = {hanja: number for number, hanja in enumerate(tables.labels)}
    for number, found in enumerate(tables.slots.values(), 1):
        for hanja, slot in found.items():
            table[number, slot] = label_of[hanja]
    return torch.from_numpy(table)
