"""Distant labels: what a morphological analyser and a dictionary say about plain text.

A label is a set of allowed slots, kept as a bit mask per syllable (bit 0 = KEEP, bit n = slot n of that
syllable): one bit is a full label, several bits are "one of these" (an ambiguous noun is converted, only
to what is open), zero bits mean "not known" and cost nothing. Rules, in this order:
- particles, endings, native verb stems, pronouns, interjections: KEEP;
- `X하` verbs with a one-syllable Sino-Korean stem (대하다, 위하다): from a table;
- one-syllable affixes, counters and determiners: from a table, else unknown;
- nouns and roots of 2+ syllables: their dictionary entries; without one KEEP (loan words, native words).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hanjaserve.build.data.korean import AFFIXES, HA_STEMS, NATIVE, SINO_ADVERBS
from hanjaserve.build.data.tables import Tables

KEEP = np.uint32(1)
NOUNS = frozenset({"NNG", "NNP", "XR", "MAG", "NNB", "NP", "MAJ"})
KEPT = frozenset(
    "JKS JKC JKG JKO JKB JKV JKQ JX JC EP EF EC ETN ETM VV VA VX VCP VCN IC XSV XSA XSM".split()
)


class Labeller:
    """Labels analysed sentences.

    Args:
        tables: slots of every syllable.
        entries: dictionary for labels, hangul to its spellings (any order).
    """

    def __init__(self, tables: Tables, entries: Mapping[str, Sequence[str]]) -> None:
        self._slots = tables.slots
        self._entries = entries

    def label(self, text: str, morphemes: Sequence[tuple[str, str, int, int]]) -> NDArray[np.uint32]:
        """Masks uint32 [len(text)] for morphemes (form, tag, start, length)."""
        masks = np.zeros(len(text), np.uint32)
        for form, tag, start, length in morphemes:
            tag = tag.partition("-")[0]
            surface = text[start : start + length]
            if tag in ("VV", "VA") and len(form) == 2 and form[1] == "하" and form[0] in HA_STEMS:
                self._spell(masks, start, surface[:1], [HA_STEMS[form[0]]])
                masks[start + 1 : start + length] = KEEP
            elif tag in KEPT:
                masks[start : start + length] |= KEEP
            elif surface == form:
                self._label_word(masks, start, surface, tag)
        return masks

    def _label_word(self, masks: NDArray[np.uint32], start: int, word: str, tag: str) -> None:
        if word in NATIVE:
            masks[start : start + len(word)] = KEEP
        elif len(word) == 1:
            options = AFFIXES.get((word, tag))
            if options == "":
                masks[start] = KEEP
            elif options:
                self._spell(masks, start, word, list(options))
        elif tag == "NP":
            masks[start : start + len(word)] = KEEP
        elif tag in NOUNS and (spellings := self._entries.get(word)):
            self._spell(masks, start, word, spellings)
        elif tag in ("MAG", "MAJ") and word[0] in SINO_ADVERBS and word[1:] in ("히", "이", "로"):
            self._spell(masks, start, word[:1], [SINO_ADVERBS[word[0]]])
            masks[start + 1 : start + len(word)] = KEEP
        elif tag in ("MAG", "MAJ") and word.endswith("히") and word[:-1] in self._entries:
            self._spell(masks, start, word[:-1], self._entries[word[:-1]])
            masks[start + len(word) - 1] = KEEP
        elif tag in ("NNG", "MAG", "MAJ", "XR") and not self._splits(word):
            masks[start : start + len(word)] = KEEP

    def _splits(self, word: str) -> bool:
        """True when a longer word may be a compound of dictionary words: then it is left open."""
        return len(word) > 2 and (word[:2] in self._entries or word[-2:] in self._entries)

    def _spell(
        self, masks: NDArray[np.uint32], start: int, word: str, options: Sequence[str]
    ) -> None:
        for at, syllable in enumerate(word):
            slots = self._slots.get(syllable, {})
            bits = 0
            for spelling in options:
                hanja = spelling[at]
                bits |= 1 << (0 if hanja == syllable else slots[hanja]) if (
                    hanja == syllable or hanja in slots
                ) else 0
            masks[start + at] = bits


def full_labels(hangul: str, mixed: str, tables: Tables) -> NDArray[np.uint32]:
    """Masks of a sentence given in both scripts: every syllable has its one label."""
    masks = np.zeros(len(hangul), np.uint32)
    for at, (syllable, hanja) in enumerate(zip(hangul, mixed, strict=True)):
        slot = 0 if syllable == hanja else tables.slots.get(syllable, {}).get(hanja, -1)
        masks[at] = 1 << slot if slot >= 0 else 0
    return masks
