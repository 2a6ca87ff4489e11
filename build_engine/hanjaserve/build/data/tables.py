"""The tables a syllable model is built from: characters, readings, labels and the dictionary.

Candidates of a syllable are the Hanja that the lexicon or the training text spells it with, the most
frequent first; the count decides which ones fit, so nothing is ranked by hand.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hanjaserve.server.readings import is_hanja

Ints = NDArray[np.int32]


@dataclass(slots=True, kw_only=True)
class Tables:
    """Everything that turns text into numbers.

    Attributes:
        labels: Hanja by label id; label 0 is KEEP, the empty string.
        slots: For each Hangul syllable its candidates, Hanja to slot; slot 0 is KEEP.
        spellings: Dictionary words, hangul to its spellings, best first.
        char_id: int32 [65536], row of the character embedding for a code point.
        char_vocab_size: rows of the character embedding.
    """

    labels: list[str]
    slots: dict[str, dict[str, int]]
    spellings: dict[str, list[str]]
    char_id: Ints = field(repr=False)
    char_vocab_size: int

    def slots_of(self, word: str, spelling: str) -> list[int]:
        """The slot of every syllable of a word in one of its spellings; 0 where it stays Hangul.

        Raises:
            KeyError: A syllable has no slot for its Hanja; see `can_spell`.
        """
        return [0 if h == j else self.slots[h][j] for h, j in zip(word, spelling, strict=True)]

    def bit(self, syllable: str, hanja: str) -> int:
        """The mask that allows a syllable one Hanja, or itself; 0 if it has no slot for that Hanja."""
        if hanja == syllable:
            return 1
        slot = self.slots.get(syllable, {}).get(hanja)
        return 1 << slot if slot else 0

    def can_spell(self, word: str, spelling: str) -> bool:
        """Whether every syllable has a slot for its Hanja."""
        return _representable(word, spelling, self.slots)


def build_tables(
    lexicon: Mapping[str, Sequence[str]],
    plausible: Iterable[tuple[str, str]],
    counted: Counter[tuple[str, str]],
    characters: Counter[str],
    *,
    max_candidates: int = 48,
    max_word: int = 4,
    max_spellings: int = 4,
) -> Tables:
    """Builds the tables.

    Args:
        lexicon: word -> its spellings, best first.
        plausible: (word, spelling) pairs; a Hanja in many of them is a candidate before others.
        counted: how often training text spells a syllable with a Hanja.
        characters: how often training text has a character.
        max_candidates: slots per syllable, KEEP included.
        max_word: longest dictionary word.
        max_spellings: spellings kept per word.
    """
    pairs: Counter[tuple[str, str]] = Counter(counted)
    for word, spelling in plausible:
        pairs.update((h, j) for h, j in zip(word, spelling, strict=True) if h != j)
    ranked: dict[str, list[str]] = defaultdict(list)
    for (syllable, hanja), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        # A dictionary also has spellings that are Hangul in part, and other Hangul at that.
        usable = is_hanja(hanja) and ord(hanja) < 0x10000
        if usable and len(ranked[syllable]) < max_candidates - 1:
            ranked[syllable].append(hanja)
    labels = ["", *sorted({hanja for found in ranked.values() for hanja in found})]
    slots = {s: {j: n for n, j in enumerate(found, 1)} for s, found in ranked.items()}
    kept = {}
    for word, spellings in lexicon.items():
        fit = [j for j in spellings if _representable(word, j, slots)]
        if fit and 2 <= len(word) <= max_word:
            kept[word] = fit[:max_spellings]
    char_id, size = _character_ids(characters)
    return Tables(
        labels=labels, slots=slots, spellings=kept, char_id=char_id, char_vocab_size=size
    )


def _representable(hangul: str, hanja: str, slots: dict[str, dict[str, int]]) -> bool:
    return all(h == j or j in slots.get(h, {}) for h, j in zip(hangul, hanja, strict=True))


def _character_ids(characters: Counter[str], at_least: int = 5) -> tuple[Ints, int]:
    """0 padding, 1-7 styles, 8 unknown, 9 unknown syllable, 10 digit, 11 Latin, then by count."""
    ids = np.full(0x10000, 8, np.int32)
    ids[0xAC00:0xD7A4] = 9
    ids[:8] = np.arange(8)
    for first, last, kind in (("0", "9", 10), ("A", "Z", 11), ("a", "z", 11)):
        ids[ord(first) : ord(last) + 1] = kind
    size = 12
    for char, count in characters.most_common():
        if count < at_least:
            break
        if ord(char) < 0x10000 and ids[ord(char)] in (8, 9) and not "一" <= char <= "鿿":
            ids[ord(char)] = size
            size += 1
    return ids, size
