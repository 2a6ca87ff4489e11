"""The training corpus: every source with its labels, without a sentence of the evaluation files.

Bible                 both scripts: every syllable has its label
statutes, mixed       Hanja gives the reading; what is left in Hangul is not known, but in their own style
statutes, annotated   distant labels, and the Hanja that the text itself gives in parentheses
plain text            distant labels, a part of it cut to fragments as short as a button's text
words                 of the dictionary, and those that no dictionary of Hanja has, in artificial contexts
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hanjaserve.build.data import sources
from hanjaserve.build.data.corpus import Corpus, Sentence, join
from hanjaserve.build.data.distant import Labeller, Labels, Morpheme, full_labels
from hanjaserve.build.data.spellings import LONGEST_WORD, Weights, adapted, dictionary, modern, usage
from hanjaserve.build.data.tables import Tables, build_tables
from hanjaserve.server.readings import is_syllable

MODERN, SCRIPTURE, STATUTE = 1, 2, 3
GENERAL, LAW = "general", "law"
LEADS = ("", "", "", "", "", "", "그 ", "이 ", "새 ", "모든 ", "다른 ", "우리 ", "어떤 ")
LINKS = ("의 ", "의 ", "의 ", " ", " ", "에서 ", "에 ", ", ")
"""Between two nouns; those that follow a vowel and a consonant alike."""
_TAILS = ("", "", "", "의", "에", "도", "만", "에서", "하다", "하는", "되었다", "합니다", "에 있다")
TAILS = {
    False: (*_TAILS, "는", "는", "가", "가", "를", "를", "와", "로", "였다", "는 없다"),
    True: (*_TAILS, "은", "은", "이", "이", "을", "을", "과", "으로", "이었다", "은 없다"),
}
"""After a noun, by whether it ends in a consonant."""
LONGEST = 128
AROUND_NOTE = 64
"""Characters that are kept of a longer annotated sentence."""
ONLY_NOUN = ({"NNG"}, {"NNP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How much of every source, in sentences; the defaults made the bundled model.

    Attributes:
        scripture_passes: how often every verse stands in the corpus.
        words: of the dictionary, each once, in an artificial context.
        frequent: the same, drawn by how frequent they are in Korean text.
        foreign: nouns that no dictionary of Hanja has, native or loan words, drawn in the same way.
        fragments: share of the plain sentences of which only a few words are taken.
    """

    scripture_passes: int = 6
    annotated: int = 67_000
    precedents: int = 110_000
    statutes: int = 40_000
    reviews: int = 150_000
    words: int = 130_000
    frequent: int = 150_000
    foreign: int = 60_000
    fragments: float = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What text is turned into numbers with.

    Attributes:
        tables: of the model.
        weights: domain -> words that distant labels know -> spellings that `tables` can spell, best
            first. Every domain knows the same words.
    """

    tables: Tables
    weights: dict[str, dict[str, Weights]]


def evaluation_keys() -> set[str]:
    """Texts that must never be trained on, without white space."""
    keys = {key(row[0]) for row in sources.rows("localisation_dev.tsv", 2)}
    keys |= {key(text) for text, _ in sources.annotated("precedents_annotated_dev.txt")}
    for split in ("test", "dev"):
        keys |= {key(hangul) for hangul, _ in sources.bible(split)}
    return keys


def key(text: str) -> str:
    """What two texts are compared by."""
    return "".join(text.split())


def make_vocabulary() -> Vocabulary:
    """Tables and dictionary; takes half a minute."""
    counted: Counter[tuple[str, str]] = Counter()
    characters: Counter[str] = Counter()
    for hangul, mixed in sources.bible("train"):
        characters.update(hangul)
        counted.update((h, m) for h, m in zip(hangul, mixed, strict=True) if h != m)
    for text, notes in sources.annotated("statutes_annotated.txt"):
        characters.update(text)
        for start, hanja in notes:
            counted.update(zip(text[start : start + len(hanja)], hanja, strict=True))
    for name in ("reviews_plain.txt", "precedents_plain.txt"):
        for line in islice(sources.lines(name), 60_000):
            characters.update(line)
    shipped, found = dictionary()
    plausible = [(word, hanja) for word, spellings in found.items() for hanja in spellings]
    tables = build_tables(shipped, plausible, counted, characters)
    spellable = {word: _spellable(tables, word, spellings) for word, spellings in found.items()}
    general = {word: spellings for word, spellings in spellable.items() if spellings}
    law = general | adapted(general, _mixed_statutes())
    return Vocabulary(tables=tables, weights={GENERAL: general, LAW: law})


def _spellable(tables: Tables, word: str, spellings: Weights) -> Weights:
    if not 2 <= len(word) <= LONGEST_WORD:
        return {}
    return {hanja: weight for hanja, weight in spellings.items() if tables.can_spell(word, hanja)}


def prepare(vocabulary: Vocabulary, mix: Mix, seed: int = 42) -> Corpus:
    """Reads, analyses and labels everything; takes some minutes."""
    sentences = list(_sentences(vocabulary, mix, random.Random(seed)))
    random.Random(seed).shuffle(sentences)
    return join(sentences, vocabulary.tables, vocabulary.weights, LONGEST)


def _sentences(vocabulary: Vocabulary, mix: Mix, chance: random.Random) -> Iterator[Sentence]:
    tables = vocabulary.tables
    banned = evaluation_keys()
    analyst = _Analyst(vocabulary)
    for hangul, mixed in sources.bible("train"):
        if key(hangul) not in banned:
            labels = full_labels(hangul, mixed, tables)
            verse = Sentence(style=SCRIPTURE, domain=GENERAL, text=hangul, labels=labels)
            yield from [verse] * mix.scripture_passes
    for hangul, mixed in _mixed_statutes():
        if key(hangul) not in banned:
            labels = _given(hangul, mixed, tables)
            yield Sentence(style=MODERN, domain=LAW, text=hangul, labels=labels)
            labels = full_labels(hangul, mixed, tables)
            yield Sentence(style=STATUTE, domain=LAW, text=hangul, labels=labels)
    pairs = [pair for pair in sources.annotated("statutes_annotated.txt") if key(pair[0]) not in banned]
    pairs = chance.sample(pairs, min(mix.annotated, len(pairs)))
    yield from analyst.annotated(pairs, chance)
    for name, domain, count in (
        ("precedents_plain.txt", LAW, mix.precedents),
        ("statutes_plain.txt", LAW, mix.statutes),
        ("reviews_plain.txt", GENERAL, mix.reviews),
    ):
        wanted = (line for line in sources.lines(name) if len(line) > 5 and key(line) not in banned)
        yield from analyst.plain(islice(wanted, count), domain, mix.fragments, chance)
    words = _drawn(sorted(vocabulary.weights[GENERAL]), analyst.nouns(usage()), mix, chance)
    yield from (analyst.in_context(word, chance.choice(words), chance) for word in words)


def _drawn(words: list[str], nouns: dict[str, float], mix: Mix, chance: random.Random) -> list[str]:
    """The words of the dictionary, and nouns with their frequencies, that get an artificial context.

    Square roots of the frequencies keep rare nouns in sight.
    """
    known = set(words)
    drawn = chance.sample(words, min(mix.words, len(words)))
    for count, kind in (
        (mix.frequent, [noun for noun in nouns if noun in known]),
        (mix.foreign, [noun for noun in nouns if noun not in known]),
    ):
        if kind:
            drawn += chance.choices(kind, [nouns[noun] ** 0.5 for noun in kind], k=count)
    return drawn


def _has_final(word: str) -> bool:
    """Whether a word ends in a consonant (Unicode 3.12: a syllable is 가 + 28 * n + final)."""
    return is_syllable(word[-1]) and (ord(word[-1]) - ord("가")) % 28 > 0


class _Analyst:
    """Analyses and labels plain text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from kiwipiepy import Kiwi

        self._kiwi = Kiwi(num_workers=1)
        self._tables = vocabulary.tables
        self._labellers = {
            domain: Labeller(vocabulary.tables, {word: list(found) for word, found in weights.items()})
            for domain, weights in vocabulary.weights.items()
        }

    def analysed(self, texts: Iterable[str]) -> Iterator[tuple[str, list[Morpheme]]]:
        """Texts with their morphemes."""
        kept = list(texts)
        for text, tokens in zip(kept, self._kiwi.tokenize(iter(kept)), strict=True):
            yield text, [(t.form, t.tag, t.start, t.len) for t in tokens]

    def nouns(self, usage: dict[str, float]) -> dict[str, float]:
        """Those words of two or more syllables that are nouns by themselves, and their frequencies."""
        long = [word for word in sorted(usage) if len(word) > 1 and all(map(is_syllable, word))]
        return {
            word: usage[word]
            for word, morphemes in self.analysed(long)
            if {tag for _, tag, _, _ in morphemes} in ONLY_NOUN and len(morphemes) == 1
        }

    def in_context(self, word: str, other: str, chance: random.Random) -> Sentence:
        """A word of the dictionary in an artificial context: by itself, or as a noun among others.

        That a word follows 의 and precedes 는 tells 수도 (首都) from 할 수도 있다; real text has too few.
        """
        parts = [(chance.choice(LEADS), "MM")]
        if chance.random() < 0.5:
            parts += [(other, "NNG"), (chance.choice(LINKS), "JKG")]
        parts += [(word, "NNG"), (chance.choice(TAILS[_has_final(word)]), "JX")]
        text, morphemes = "", []
        for form, tag in parts:
            if form:
                morphemes.append((form, tag, len(text), len(form)))
            text += form
        labels = self._labellers[GENERAL].label(text, morphemes)
        return Sentence(style=MODERN, domain=GENERAL, text=text, labels=labels)

    def plain(
        self, texts: Iterable[str], domain: str, fragments: float, chance: random.Random
    ) -> Iterator[Sentence]:
        """Sentences with distant labels."""
        for text, morphemes in self.analysed(texts):
            labels = self._labellers[domain].label(text, morphemes)
            start, stop = 0, len(text)
            if chance.random() < fragments:
                start, stop = _fragment(text, morphemes, chance)
            yield _cut(text, domain, labels, start, stop)

    def annotated(
        self, pairs: list[tuple[str, list[tuple[int, str]]]], chance: random.Random
    ) -> Iterator[Sentence]:
        """Sentences with distant labels and the Hanja that the text itself gives."""
        analysed = self.analysed(text for text, _ in pairs)
        for (text, morphemes), (_, notes) in zip(analysed, pairs, strict=True):
            labels = self._labellers[LAW].label(text, morphemes)
            for start, hanja in notes:
                _annotate(labels, text, start, hanja, self._tables)
            at = chance.choice(notes)[0]
            whole = len(text) <= AROUND_NOTE
            start = 0 if whole else text.rfind(" ", 0, max(1, at - AROUND_NOTE // 2)) + 1
            yield _cut(text, LAW, labels, start, start + AROUND_NOTE)


def _annotate(labels: Labels, text: str, start: int, hanja: str, tables: Tables) -> None:
    stop = start + len(hanja)
    # A word that the note covers in part is not known any more.
    labels.words = [(at, word) for at, word in labels.words if at + len(word) <= start or at >= stop]
    labels.masks[start:stop] = full_labels(text[start:stop], modern(hanja), tables).masks


def _cut(text: str, domain: str, labels: Labels, start: int, stop: int) -> Sentence:
    words = [(at - start, word) for at, word in labels.words if start <= at and at + len(word) <= stop]
    part = Labels(masks=labels.masks[start:stop], words=words)
    return Sentence(style=MODERN, domain=domain, text=text[start:stop], labels=part)


def _fragment(text: str, morphemes: list[Morpheme], chance: random.Random) -> tuple[int, int]:
    """One to four words of a sentence, often without the particle or ending at their end."""
    starts = [0, *(at + 1 for at, char in enumerate(text) if char == " " and at + 1 < len(text))]
    first = chance.randrange(len(starts))
    last = min(len(starts), first + chance.randint(1, 4))
    start, stop = starts[first], starts[last] if last < len(starts) else len(text)
    inside = [(tag, at + size) for _, tag, at, size in morphemes if start <= at < stop]
    nouns = [end for tag, end in inside if tag in ("NNG", "NNP", "XSN")]
    if nouns and chance.random() < 0.6:
        stop = nouns[-1]
    return start, max(start + 1, stop)


def _mixed_statutes() -> Iterator[tuple[str, str]]:
    """(hangul, mixed) of the statutes in mixed script, read by the initial-sound rule."""
    import hanja

    for name in ("statute_titles_mixed.txt", "statute_clauses_mixed.txt"):
        for line in sources.lines(name):
            hangul = hanja.translate(line, "substitution")
            if len(hangul) == len(line):
                yield hangul, modern(line)


def _given(hangul: str, mixed: str, tables: Tables) -> Labels:
    """The labels of what is in Hanja; Hangul that the writer left is not known."""
    masks = full_labels(hangul, mixed, tables).masks
    left = np.array([h == m and is_syllable(h) for h, m in zip(hangul, mixed, strict=True)], bool)
    masks[left] = 0
    return Labels(masks=masks)
