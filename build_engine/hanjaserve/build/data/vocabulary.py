"""What text is turned into numbers with: the model's tables, and how each domain spells its words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from hanjaserve.build.data import sources
from hanjaserve.build.data.compounds import Compound, split_compounds
from hanjaserve.build.data.spellings import LONGEST_WORD, Weights, adapted, dictionary, modern
from hanjaserve.build.data.tables import Tables, build_tables

GENERAL, LAW = "general", "law"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What text is turned into numbers with.

    Attributes:
        tables: of the model.
        weights: domain -> words that distant labels know -> spellings that `tables` can spell, best
            first. Every domain knows the same words.
        compounds: of these words, in which their spellings are known.
    """

    tables: Tables
    weights: dict[str, dict[str, Weights]]
    compounds: Sequence[Compound] = ()


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
    law = general | adapted(general, mixed_statutes())
    entries = chain(sources.rows("stdict_words.tsv", 2), sources.lexicon())
    pairs = ((hangul, modern(hanja)) for hangul, hanja in entries)
    compounds = split_compounds(pairs, general)
    return Vocabulary(tables=tables, weights={GENERAL: general, LAW: law}, compounds=compounds)


def _spellable(tables: Tables, word: str, spellings: Weights) -> Weights:
    if not 2 <= len(word) <= LONGEST_WORD:
        return {}
    return {hanja: weight for hanja, weight in spellings.items() if tables.can_spell(word, hanja)}


def mixed_statutes() -> Iterator[tuple[str, str]]:
    """(hangul, mixed) of the statutes in mixed script, read by the initial-sound rule."""
    import hanja

    for name in ("statute_titles_mixed.txt", "statute_clauses_mixed.txt"):
        for line in sources.lines(name):
            hangul = hanja.translate(line, "substitution")
            if len(hangul) == len(line):
                yield hangul, modern(line)
