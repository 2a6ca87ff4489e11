"""The training corpus: every source with its labels, without a sentence of the evaluation files.

Bible                 both scripts: every syllable has its label
statutes, mixed       Hanja gives the reading; what is left in Hangul is not known, but in their own style
statutes, annotated   distant labels, and the Hanja that the text itself gives in parentheses
plain text            distant labels, a part of it cut to fragments as short as a button's text
words                 of the dictionary, and those that no dictionary of Hanja has, in artificial contexts
clauses               put together from nouns, verbs and endings, with distant labels
phrases               our own, for the senses of homographs
topics                clauses with an ambiguous word and nouns that are like one of its senses
compounds             of the dictionary, apart and in artificial contexts: their parts' senses are known
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hanjaserve.build.data import sources
from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.clauses import Clauses
from hanjaserve.build.data.corpus import LONGEST, MODERN, SCRIPTURE, STATUTE, Corpus, Sentence, join
from hanjaserve.build.data.distant import Labels, full_labels
from hanjaserve.build.data.phrases import read_phrases
from hanjaserve.build.data.spellings import usage
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.topics import topical
from hanjaserve.build.data.vocabulary import GENERAL, LAW, Vocabulary, mixed_statutes
from hanjaserve.server.readings import is_syllable

VERBAL = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How much of every source, in sentences.

    Attributes:
        scripture: verses of the Bible, drawn evenly if that is not all of them.
        scripture_passes: how often every verse stands in the corpus.
        mixed: statutes in mixed script.
        words: of the dictionary, each once, in an artificial context.
        frequent: the same, drawn by how frequent they are in Korean text.
        foreign: nouns that no dictionary of Hanja has, native or loan words, drawn in the same way.
        compounds: drawn from those of the dictionary, each with its parts apart or together.
        clauses: of nouns, verbs and endings.
        topics: clauses with an ambiguous word in a known sense.
        phrases: drawn from ours, every sense as often.
        fragments: share of the plain sentences of which only a few words are taken.
    """

    scripture: int = 100_000
    scripture_passes: int = 9
    mixed: int = 20_000
    annotated: int = 67_000
    precedents: int = 110_000
    statutes: int = 40_000
    reviews: int = 120_000
    words: int = 60_000
    frequent: int = 150_000
    foreign: int = 60_000
    compounds: int = 120_000
    clauses: int = 240_000
    topics: int = 200_000
    phrases: int = 300_000
    fragments: float = 0.35


def evaluation_keys() -> set[str]:
    """Texts that must never be trained on, without white space."""
    keys = {key(hangul) for hangul, _ in sources.localisation()}
    keys |= {key(text) for text, _ in sources.annotated("precedents_annotated_dev.txt")}
    for split in ("test", "dev"):
        keys |= {key(hangul) for hangul, _ in sources.bible(split)}
    return keys


def key(text: str) -> str:
    """What two texts are compared by."""
    return "".join(text.split())


def prepare(vocabulary: Vocabulary, mix: Mix, seed: int = 42) -> Corpus:
    """Reads, analyses and labels everything; takes some minutes."""
    sentences = list(_sentences(vocabulary, mix, random.Random(seed)))
    random.Random(seed).shuffle(sentences)
    return join(sentences, vocabulary.tables, vocabulary.weights, LONGEST)


def _sentences(vocabulary: Vocabulary, mix: Mix, chance: random.Random) -> Iterator[Sentence]:
    tables = vocabulary.tables
    banned = evaluation_keys()
    analyst = Analyst(vocabulary, with_vectors=mix.topics > 0)
    verses = list(sources.bible("train"))
    if mix.scripture < len(verses):
        # Not by `chance`: the rest of the corpus shall be the same.
        verses = random.Random(mix.scripture).sample(verses, mix.scripture)
    for hangul, mixed in verses:
        if key(hangul) not in banned:
            labels = full_labels(hangul, mixed, tables)
            verse = Sentence(style=SCRIPTURE, domain=GENERAL, text=hangul, labels=labels)
            yield from [verse] * mix.scripture_passes
    for hangul, mixed in islice(mixed_statutes(), mix.mixed):
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
    nouns = analyst.nouns(usage())
    words = _drawn(sorted(vocabulary.weights[GENERAL]), nouns, mix, chance)
    yield from (analyst.in_context(word, chance.choice(words), chance) for word in words)
    if vocabulary.compounds:
        drawn = chance.choices(vocabulary.compounds, _ambiguity(vocabulary), k=mix.compounds)
        yield from (analyst.compound(compound, chance) for compound in drawn)
    if nouns:
        clauses = _clauses(vocabulary, nouns)
        yield from analyst.clauses(clauses, mix.clauses, chance)
        topics = topical(analyst.topics(vocabulary.weights[GENERAL], nouns), mix.topics, chance)
        yield from analyst.topical(topics, clauses, nouns, chance)
    phrases = [phrase for phrase in read_phrases() if key(phrase.text) not in banned]
    if phrases and mix.phrases:
        yield from analyst.phrases(phrases, mix.phrases, chance)


def _clauses(vocabulary: Vocabulary, nouns: dict[str, float]) -> Clauses:
    """Of all nouns, the frequent ones more often; the most frequent of two Hanja also make verbs."""
    known = vocabulary.weights[GENERAL]
    ranked = sorted(nouns, key=lambda noun: -nouns[noun])
    verbal = [noun for noun in ranked if len(noun) == 2 and noun in known]
    return Clauses({noun: share**0.5 for noun, share in nouns.items()}, verbal[:VERBAL])


def _ambiguity(vocabulary: Vocabulary) -> list[float]:
    """How often to draw each compound: once, and more for each ambiguous part."""
    general = vocabulary.weights[GENERAL]
    ambiguous = {word for word, spellings in general.items() if len(spellings) > 1}
    return [1.0 + 3.0 * sum(word in ambiguous for word, _ in found) for found in vocabulary.compounds]


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


def _given(hangul: str, mixed: str, tables: Tables) -> Labels:
    """The labels of what is in Hanja; Hangul that the writer left is not known."""
    masks = full_labels(hangul, mixed, tables).masks
    left = np.array([h == m and is_syllable(h) for h, m in zip(hangul, mixed, strict=True)], bool)
    masks[left] = 0
    return Labels(masks=masks)
