"""Phrases of our own that show what each sense of a homograph stands with: 의사 醫師 in `병원 ~`.

No text tells the senses of everyday words, and vectors alone mix up those that are near each other (修理,
受理). phrases.tsv therefore has some phrases for each sense of the homographs that people write most,
one sense a line, the most usual in modern text first:

    word TAB its spelling TAB phrases parted by |, in which ~ stands for the word

They are training text by themselves; what stands with a sense in them, its *companions*, tells the sense
in other text; and they say which spellings of a word are in use.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from hanjaserve.build.data.vectors import Morph
from hanjaserve.server.errors import BuildError

PLACE = "~"
SUFFIXES = frozenset({"XSV", "XSA", "XSN"})
"""Tags of what makes a verb, an adjective or another noun of a noun."""
MOST_COMMON = 0.02
"""Share of the words with which a morpheme may stand and still tell anything: 있다 stands with all."""

Companions = Mapping[str, Mapping[str, frozenset[Morph]]]
"""Word -> spelling -> morphemes that stand with this sense and no other of the word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A phrase around a word in the sense of one spelling."""

    word: str
    spelling: str
    before: str
    after: str

    @property
    def text(self) -> str:
        """The phrase with the word in its place, which begins at len(before)."""
        return self.before + self.word + self.after


def read_phrases() -> list[Phrase]:
    """The phrases of phrases.tsv, senses in its order."""
    lines = files(__package__).joinpath("phrases.tsv").read_text(encoding="utf-8").splitlines()
    return parse_phrases(lines)


def parse_phrases(lines: Iterable[str]) -> list[Phrase]:
    """Phrases from the lines of a file; those that begin with # are comments.

    Raises:
        BuildError: a line that is not as described above, with its number.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            columns = line.split("\t")
            if len(columns) != 3 or len(columns[0]) != len(columns[1]):
                raise BuildError(
                    f"phrases.tsv, line {number}: {line[:40]!r} is not word, spelling and phrases"
                )
            word, spelling, phrases = columns
            for phrase in phrases.split("|"):
                if phrase.count(PLACE) != 1:
                    raise BuildError(f"phrases.tsv, line {number}: {phrase!r} needs one {PLACE} for {word}")
                before, after = phrase.split(PLACE)
                found.append(Phrase(word=word, spelling=spelling, before=before, after=after))
    return found


def spellings_in(phrases: Iterable[Phrase]) -> dict[str, tuple[str, ...]]:
    """Word -> its spellings, the most usual first."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for phrase in phrases:
        found[phrase.word][phrase.spelling] = None
    return {word: tuple(spellings) for word, spellings in found.items()}


def companions_of(seen: Iterable[tuple[Phrase, Sequence[Morph]]]) -> Companions:
    """What stands with each sense.

    Args:
        seen: phrases, each with the morphemes that may tell its sense.
    """
    beside: dict[str, dict[str, set[Morph]]] = defaultdict(lambda: defaultdict(set))
    senses: dict[str, Counter[Morph]] = defaultdict(Counter)
    for phrase, morphemes in seen:
        new = set(morphemes) - beside[phrase.word][phrase.spelling]
        beside[phrase.word][phrase.spelling] |= new
        senses[phrase.word].update(new)
    common = Counter(morph for counts in senses.values() for morph in counts)
    limit = MOST_COMMON * sum(map(len, beside.values()))
    return {
        word: {
            spelling: frozenset(
                morph
                for morph in found
                if senses[word][morph] == 1 and (common[morph] <= limit or morph[1] in SUFFIXES)
            )
            for spelling, found in spellings.items()
        }
        for word, spellings in beside.items()
    }
