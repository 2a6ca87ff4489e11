"""Distant labels: what a morphological analyser and a dictionary say about plain text.

Three kinds of label: a bit mask per syllable (bit 0 = KEEP, bit n = slot n; one bit is a full label,
several mean "one of these", none "not known", which costs nothing), and an *ambiguous word*, which is
converted as a whole to one of its spellings (the loss sums over them). Rules, in this order:
- particles, endings, native verb stems, interjections: KEEP;
- `X하` verbs with a one-syllable Sino-Korean stem (대하다, 위하다), pronouns, one-syllable affixes,
  counters and determiners: from tables, else not known;
- nouns, roots and adverbs of 2+ syllables: the spellings of their dictionary entry;
- longer nouns without an entry: a compound of entries and affixes (차별+점), else KEEP (loan words, names);
- an ambiguous word beside a noun with which it makes a compound (교통, 사고) is spelt as in the compound;
  else what the context means makes some of its spellings likelier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hanjaserve.build.data.korean import (
    ADVERBS_SPELT,
    AFFIXES,
    BEFORE_JEOK,
    HA_STEMS,
    LOANS,
    NATIVE,
    NATIVE_ADVERBS,
    NATIVE_ROOTS,
    SINO_ADVERBS,
    SINO_PRONOUNS,
)
from hanjaserve.build.data.phrases import SUFFIXES
from hanjaserve.build.data.senses import Senses
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.vectors import MEANINGFUL, Floats, Morph

KEEP = np.uint64(1)
SENSIBLE = frozenset({"NNG", "NNP", "XR"})
NOUNS = frozenset({"NNG", "NNP", "XR", "MAG", "NNB", "MAJ"})
KEPT = frozenset(
    "JKS JKC JKG JKO JKB JKV JKQ JX JC EP EF EC ETN ETM VV VA VX VCP VCN IC XSV XSA XSM NP MM".split()
)
ADVERBS = frozenset({"MAG", "MAJ"})
ADVERB_ENDINGS = ("히", "로", "이")
MAX_PIECES = 3
BESIDE = 2
"""Nouns to either side that may tell the sense of a word as a part of a compound."""
JEOK = ("적", "XSN")
AROUND = 8
"""Morphemes to either side whose meaning may tell the sense of a word."""

Morpheme = tuple[str, str, int, int]
"""Form, tag (Sejong corpus), start, length; offsets in code points."""


@dataclass(slots=True, kw_only=True)
class Labels:
    """Labels of a text.

    Attributes:
        masks: uint64 [characters].
        words: (start, word) of each ambiguous word; its masks are 0.
        evidence: start of an ambiguous word -> what its context adds to the log weights of its spellings,
            float32 [spellings]; a word of which the context tells nothing is left out.
    """

    masks: NDArray[np.uint64]
    words: list[tuple[int, str]] = field(default_factory=list)
    evidence: dict[int, Floats] = field(default_factory=dict)


class Labeller:
    """Labels analysed sentences.

    Args:
        tables: slots of every syllable.
        entries: spellings of the words of the dictionary, such as Tables can spell.
        senses: what compounds tell about them.
    """

    def __init__(
        self, tables: Tables, entries: Mapping[str, Sequence[str]], senses: Senses | None = None
    ) -> None:
        self._bit = tables.bit
        self._entries = entries
        self._senses = senses or Senses()

    def label(self, text: str, morphemes: Sequence[Morpheme]) -> Labels:
        """Labels of a text that was analysed."""
        labels = Labels(masks=np.zeros(len(text), np.uint64))
        for n, (form, tag, start, length) in enumerate(morphemes):
            tag = tag.partition("-")[0]
            surface = text[start : start + length]
            follows = morphemes[n + 1][:2] if n + 1 < len(morphemes) else ("", "")
            if tag == "NNG" and surface in BEFORE_JEOK and follows == JEOK:
                self._one_of(labels, start, surface, BEFORE_JEOK[surface])
            elif tag in ("VV", "VA") and len(form) == 2 and form[1] == "하" and form[0] in HA_STEMS:
                self._one_of(labels, start, surface[:1], HA_STEMS[form[0]])
                labels.masks[start + 1 : start + length] = KEEP
            elif surface != form:
                # A contraction, in parts of which nobody knows which syllable is whose.
                if tag in KEPT:
                    labels.masks[start : start + length] |= KEEP
            elif not self._from_tables(labels, start, surface, tag) and tag in NOUNS:
                self._noun(labels, start, surface, tag)
        if labels.words:
            nouns = [(at, form) for form, tag, at, _ in morphemes if tag in SENSIBLE and len(form) > 1]
            self._tell_senses(labels, nouns)
            self._weigh_senses(labels, morphemes)
        return labels

    def exactly(self, labels: Labels, start: int, word: str, spelling: str) -> None:
        """Label a word with its one spelling."""
        for at, (syllable, hanja) in enumerate(zip(word, spelling, strict=True), start):
            labels.masks[at] = self._bit(syllable, hanja)

    def _tell_senses(self, labels: Labels, nouns: Sequence[tuple[int, str]]) -> None:
        """Spell ambiguous words as the nouns beside them say."""
        place = {start: n for n, (start, _) in enumerate(nouns)}
        left = []
        for start, word in labels.words:
            spelling = None
            if start in place:
                n = place[start]
                beside = (*nouns[max(0, n - BESIDE) : n], *nouns[n + 1 : n + 1 + BESIDE])
                spelling = self._senses.of(word, [noun for _, noun in beside])
            if spelling is not None and spelling in self._entries[word]:
                self.exactly(labels, start, word, spelling)
            else:
                left.append((start, word))
        labels.words = left

    def _weigh_senses(self, labels: Labels, morphemes: Sequence[Morpheme]) -> None:
        """Let the context of the other ambiguous words say which of their spellings are likelier."""
        place = {start: n for n, (_, _, start, _) in enumerate(morphemes)}
        for start, word in labels.words:
            if start in place:
                n = place[start]
                evidence = self._senses.evidence(word, context_of(morphemes, n))
                if evidence is not None:
                    labels.evidence[start] = evidence

    def _from_tables(self, labels: Labels, start: int, word: str, tag: str) -> bool:
        """Label what the hand-made tables or the tag alone decide; False if they don't."""
        if _is_native(word, tag):
            labels.masks[start : start + len(word)] = KEEP
        elif tag in ADVERBS and word in ADVERBS_SPELT:
            self.exactly(labels, start, word, ADVERBS_SPELT[word])
        elif tag == "NP" and word in SINO_PRONOUNS:
            self.exactly(labels, start, word, SINO_PRONOUNS[word])
        elif len(word) == 1 and (word, tag) in AFFIXES:
            self._one_of(labels, start, word, AFFIXES[word, tag])
        elif tag == "NR" and all((syllable, tag) in AFFIXES for syllable in word):
            for at, syllable in enumerate(word, start):
                self._one_of(labels, at, syllable, AFFIXES[syllable, tag])
        elif tag in KEPT and (tag != "MM" or len(word) > 1):
            labels.masks[start : start + len(word)] |= KEEP
        elif tag in ADVERBS and word[0] in SINO_ADVERBS and word[1:] in ADVERB_ENDINGS:
            self._one_of(labels, start, word[:1], SINO_ADVERBS[word[0]])
            labels.masks[start + 1 : start + len(word)] = KEEP
        else:
            return len(word) == 1
        return True

    def _noun(self, labels: Labels, start: int, word: str, tag: str) -> None:
        """Label a noun, root or adverb of two or more syllables by the dictionary."""
        if word in self._entries:
            self._spell(labels, start, word)
        elif tag in ADVERBS and word.endswith(ADVERB_ENDINGS) and word[:-1] in self._entries:
            self._spell(labels, start, word[:-1])
            labels.masks[start + len(word) - 1] = KEEP
        elif tag not in ADVERBS and (pieces := self._pieces(word)):
            for piece, kind in pieces:
                if kind:
                    self._one_of(labels, start, piece, AFFIXES[piece, kind])
                else:
                    self._spell(labels, start, piece)
                start += len(piece)
        else:
            labels.masks[start : start + len(word)] = KEEP

    def _pieces(self, word: str) -> list[tuple[str, str]] | None:
        """Dictionary words with an affix at either end: (piece, tag of the affix or "").

        Example:
            차별점 is 차별 and the suffix 점; 이미지 is nothing, as 이미 is native.
        """
        found = []
        for prefix in self._affixes(word[:1], "XPN"):
            for suffix in self._affixes(word[-1:], "XSN"):
                middle = self._words(word[len(prefix) : len(word) - len(suffix)])
                if middle is not None:
                    parts = [(prefix, "XPN"), *((part, "") for part in middle), (suffix, "XSN")]
                    found.append([part for part in parts if part[0]])
        shortest = min(found, key=len, default=None)
        return shortest if shortest and len(shortest) <= MAX_PIECES else None

    @staticmethod
    def _affixes(syllable: str, tag: str) -> tuple[str, ...]:
        """Nothing, and the syllable if it is a Sino-Korean affix."""
        return ("", syllable) if AFFIXES.get((syllable, tag)) else ("",)

    def _words(self, text: str) -> list[str] | None:
        """The fewest dictionary words of two or more syllables that make up a text, or None."""
        if self._is_entry(text):
            return [text]
        heads = [cut for cut in range(2, len(text) - 1) if self._is_entry(text[:cut])]
        found = [[text[:cut], *tail] for cut in heads if (tail := self._words(text[cut:]))]
        return min(found, key=len, default=None)

    def _is_entry(self, word: str) -> bool:
        return word in self._entries and word not in NATIVE and word not in LOANS

    def _spell(self, labels: Labels, start: int, word: str) -> None:
        spellings = self._entries[word]
        if len(spellings) > 1:
            labels.words.append((start, word))
        else:
            self.exactly(labels, start, word, spellings[0])

    def _one_of(self, labels: Labels, at: int, syllable: str, options: str) -> None:
        """One syllable becomes one of the Hanja; "" keeps it."""
        bits = [self._bit(syllable, hanja) for hanja in options or syllable]
        labels.masks[at] = np.bitwise_or.reduce(np.array(bits, np.uint64))


def _is_native(word: str, tag: str) -> bool:
    """Whether a word is a native or a loan word, as the part of speech that it has here."""
    if word in NATIVE or word in LOANS:
        return True
    return (tag in ADVERBS and word in NATIVE_ADVERBS) or (tag == "XR" and word in NATIVE_ROOTS)


def context_of(morphemes: Sequence[Morpheme], n: int) -> list[Morph]:
    """What may tell the sense of morpheme n.

    Nouns, roots and verbs around it that are other than it, and what it is a stem for: 이해하다 is 理解하다,
    never 利害하다. The latter is ("", its suffix's tag).
    """
    word = morphemes[n][0]
    around = (*morphemes[max(0, n - AROUND) : n], *morphemes[n + 1 : n + 1 + AROUND])
    found = [(form, tag.partition("-")[0]) for form, tag, _, _ in around if form != word]
    context = [morph for morph in found if morph[1] in MEANINGFUL]
    if n + 1 < len(morphemes):
        form, tag, _, _ = morphemes[n + 1]
        if tag in SUFFIXES:
            context.append((form if tag == "XSN" else "", tag))
    return context


def full_labels(hangul: str, mixed: str, tables: Tables) -> Labels:
    """Labels of a sentence given in both scripts: every syllable has its one label."""
    return Labels(masks=np.array(list(map(tables.bit, hangul, mixed)), np.uint64))
