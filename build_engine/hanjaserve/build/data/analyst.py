"""Turns text and words into labelled sentences, with the morphological analyser Kiwi."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from hanjaserve.build.data.clauses import Clauses
from hanjaserve.build.data.compounds import Compound
from hanjaserve.build.data.corpus import MODERN, Sentence
from hanjaserve.build.data.distant import KEEP, Labeller, Labels, Morpheme, context_of, full_labels
from hanjaserve.build.data.phrases import Companions, Phrase, companions_of, read_phrases
from hanjaserve.build.data.senses import Senses
from hanjaserve.build.data.spellings import Weights, modern, usage
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.topics import Topic, make_topics
from hanjaserve.build.data.vectors import make_vectors
from hanjaserve.build.data.vocabulary import GENERAL, LAW, Vocabulary
from hanjaserve.server.readings import is_syllable

LEADS = ("", "", "", "", "", "", "그 ", "이 ", "새 ", "모든 ", "다른 ", "우리 ", "어떤 ")
LINKS = ("의 ", "의 ", "의 ", " ", " ", "에서 ", "에 ", ", ")
"""Between two nouns; those that follow a vowel and a consonant alike."""
PART_LINKS = ("", " ", " ", " ", "의 ", "의 ", ", ", "에서 ", "도 ")
"""Between the parts of a compound."""
_TAILS = ("", "", "", "의", "에", "도", "만", "에서", "하다", "하는", "되었다", "합니다", "에 있다")
TAILS = {
    False: (*_TAILS, "는", "는", "가", "가", "를", "를", "와", "로", "였다", "는 없다"),
    True: (*_TAILS, "은", "은", "이", "이", "을", "을", "과", "으로", "이었다", "은 없다"),
}
"""After a noun, by whether it ends in a consonant."""
PHRASE_LINK = ", "
AROUND_NOTE = 64
"""Characters that are kept of a longer annotated sentence."""
ONLY_NOUN = ({"NNG"}, {"NNP"})


def _has_final(word: str) -> bool:
    """Whether a word ends in a consonant (Unicode 3.12: a syllable is 가 + 28 * n + final)."""
    return is_syllable(word[-1]) and (ord(word[-1]) - ord("가")) % 28 > 0


class Analyst:
    """Analyses and labels plain text.

    Args:
        vocabulary: what words may be spelt like.
        with_vectors: also tell senses by what the context means; takes a minute to begin with.
    """

    def __init__(self, vocabulary: Vocabulary, *, with_vectors: bool = False) -> None:
        from kiwipiepy import Kiwi

        self._kiwi = Kiwi(num_workers=1)
        self._tables = vocabulary.tables
        self._vectors = make_vectors(self._kiwi) if with_vectors else None
        in_use = usage() if with_vectors else {}
        known = vocabulary.weights[GENERAL]
        companions = self._companions([phrase for phrase in read_phrases() if phrase.word in known])
        self._senses, self._labellers = {}, {}
        for domain, weights in vocabulary.weights.items():
            entries = {word: list(found) for word, found in weights.items()}
            self._senses[domain] = Senses(vocabulary.compounds, entries, self._vectors, in_use, companions)
            self._labellers[domain] = Labeller(self._tables, entries, self._senses[domain])

    def analysed(self, texts: Iterable[str]) -> Iterator[tuple[str, list[Morpheme]]]:
        """Texts with their morphemes."""
        kept = list(texts)
        for text, tokens in zip(kept, self._kiwi.tokenize(iter(kept)), strict=True):
            yield text, [(t.form, t.tag, t.start, t.len) for t in tokens]

    def nouns(self, frequencies: dict[str, float]) -> dict[str, float]:
        """Those words of two or more syllables that are nouns by themselves, and their frequencies."""
        long = [word for word in sorted(frequencies) if len(word) > 1 and all(map(is_syllable, word))]
        return {
            word: frequencies[word]
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

    def clauses(self, clauses: Clauses, count: int, chance: random.Random) -> Iterator[Sentence]:
        """Clauses with distant labels."""
        texts = (self._kiwi.join(clauses.draw(chance)) for _ in range(count))
        yield from self.plain(texts, GENERAL, 0.0, chance)

    def topics(self, weights: Mapping[str, Weights], nouns: Mapping[str, float]) -> list[Topic]:
        """What is like each sense of the ambiguous words among the nouns; needs the vectors."""
        if self._vectors is None:
            return []
        return make_topics(weights, nouns, self._senses[GENERAL], self._vectors)

    def topical(
        self,
        drawn: Iterable[Topic],
        clauses: Clauses,
        nouns: Mapping[str, float],
        chance: random.Random,
    ) -> Iterator[Sentence]:
        """Clauses about topics: the word is spelt as the topic says, the rest has distant labels."""
        kept = list(drawn)
        texts = [self._kiwi.join(clauses.about(topic.draw(nouns, chance), chance)) for topic in kept]
        for topic, (text, morphemes) in zip(kept, self.analysed(texts), strict=True):
            labels = self._labellers[GENERAL].label(text, morphemes)
            if text.count(topic.word) == 1:
                _annotate(labels, text, text.index(topic.word), topic.spelling, self._tables)
                yield _cut(text, GENERAL, labels, 0, len(text))

    def phrases(self, phrases: Iterable[Phrase], count: int, chance: random.Random) -> Iterator[Sentence]:
        """Drawn from phrases, some with another of the same sense: the word's spelling is known."""
        of_sense: dict[tuple[str, str], list[Phrase]] = defaultdict(list)
        for phrase in phrases:
            of_sense[phrase.word, phrase.spelling].append(phrase)
        kept = [chance.choice(found) for found in chance.choices(list(of_sense.values()), k=count)]
        drawn = [[p, *chance.choices(of_sense[p.word, p.spelling], k=chance.randrange(2))] for p in kept]
        texts = (PHRASE_LINK.join(phrase.text for phrase in group) for group in drawn)
        for group, (text, morphemes) in zip(drawn, self.analysed(texts), strict=True):
            labels = self._labellers[GENERAL].label(text, morphemes)
            start = 0
            for phrase in group:
                _annotate(labels, text, start + len(phrase.before), phrase.spelling, self._tables)
                start += len(phrase.text) + len(PHRASE_LINK)
            yield _cut(text, GENERAL, labels, 0, len(text))

    def _companions(self, phrases: Sequence[Phrase]) -> Companions:
        """What stands with each sense in phrases."""
        seen = []
        analysed = self.analysed(phrase.text for phrase in phrases)
        for phrase, (_, morphemes) in zip(phrases, analysed, strict=True):
            at = len(phrase.before)
            n = next((n for n, (_, _, start, _) in enumerate(morphemes) if start == at), None)
            seen.append((phrase, context_of(morphemes, n) if n is not None else ()))
        return companions_of(seen)

    def compound(self, parts: Compound, chance: random.Random) -> Sentence:
        """A compound in an artificial context, its parts together or apart."""
        labeller = self._labellers[GENERAL]
        link = chance.choice(PART_LINKS)
        text, places = chance.choice(LEADS), []
        for number, (word, spelling) in enumerate(parts):
            text += link if number else ""
            places.append((len(text), word, spelling))
            text += word
        text += chance.choice(TAILS[_has_final(text)])
        # What is not a part is a particle, an ending or a native word.
        labels = Labels(masks=np.full(len(text), KEEP, np.uint64))
        for start, word, spelling in places:
            labeller.exactly(labels, start, word, spelling)
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
    evidence = {at - start: found for at, found in labels.evidence.items()}
    part = Labels(masks=labels.masks[start:stop], words=words, evidence=evidence)
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
