"""The dictionary's Hanja words: where a run of Hanja falls into words, and how it is read.

    words.txt    UTF-8, sorted, one word of 2 to 6 Hanja per line: 首都
                 a word that its Hanja don't read like that has its reading after a TAB: 娛樂	오락
                 a single Hanja always has one, its usual reading: 樂	악

A bundle may lack the file: then a run is one word, and only what `readings.tsv` says is known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hanjaserve.server.bundle import FIX, Bundle
from hanjaserve.server.errors import BundleError
from hanjaserve.server.readings import READINGS, ReadingTable, at_start, read_so

WORDS = "words.txt"
LONGEST = 6
"""Hanja of the longest word that a file may hold."""
SURNAMES = {"金": "김", "沈": "심"}
"""Surnames that are read otherwise than their Hanja in words."""
NAME_LENGTHS = (2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A dictionary of Hanja words.

    Attributes:
        words: All words of two Hanja and more.
        exceptions: Words with a reading that their Hanja don't give.
        usual: The usual reading of a single Hanja, before the initial-sound rule.

    Example:
        >>> Words(words=frozenset({"大韓民國", "首都"})).split("大韓民國首都")
        [4, 2]
    """

    words: frozenset[str] = frozenset()
    exceptions: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, bundle: Bundle) -> "Words":
        """Read what a bundle has.

        Raises:
            BundleError: `words.txt` is not what it should be.
        """
        usual = ReadingTable.open(bundle).usual() if bundle.has(READINGS) else {}
        if not bundle.has(WORDS):
            return cls(usual=usual)
        path = bundle.path(WORDS)
        try:
            found = cls.load(path)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} can't be read ({error}): {FIX}") from error
        return cls(words=found.words, exceptions=found.exceptions, usual={**usual, **found.usual})

    @classmethod
    def load(cls, path: Path) -> "Words":
        """Read a file.

        Raises:
            OSError: It can't be read.
            ValueError: A line is none; says which.
        """
        words: list[str] = []
        exceptions: dict[str, str] = {}
        usual: dict[str, str] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            word, _, reading = line.partition("\t")
            if not 1 <= len(word) <= LONGEST or len(reading) not in (len(word), 0):
                raise ValueError(f"line {number}: {line[:40]!r} is no word of up to {LONGEST} Hanja")
            if len(word) == 1:
                usual[word] = reading
                continue
            words.append(word)
            if reading:
                exceptions[word] = reading
        return cls(words=frozenset(words), exceptions=exceptions, usual=usual)

    @staticmethod
    def save(path: Path, words: Iterable[tuple[str, str]], usual: Mapping[str, str]) -> None:
        """Write a file.

        Args:
            path: Where to.
            words: Hanja words of 2 to 6 and how they are read; of several readings that of the
                Hanja counts, else the first that follows the initial-sound rule.
            usual: The usual reading of single Hanja.
        """
        plain = Words(usual=usual)
        readings: dict[str, list[str]] = {}
        for hanja, reading in words:
            readings.setdefault(hanja, []).append(reading)
        lines = {hanja: f"{hanja}\t{reading}" for hanja, reading in usual.items()}
        for hanja, found in readings.items():
            # A dictionary may hold northern spellings, which don't know the rule, beside the others.
            best = next((reading for reading in found if at_start(reading[0]) == reading[0]), found[0])
            lines[hanja] = hanja if plain.read(hanja) in found else f"{hanja}\t{best}"
        content = "".join(f"{lines[word]}\n" for word in sorted(lines))
        path.write_text(content, encoding="utf-8", newline="\n")

    def split(self, hanja: str) -> list[int]:
        """Split a run of Hanja into words: their lengths, in order.

        As few words as possible, and of those the ones with the fewest loose characters and the
        longest words first. Loose characters next to each other are one word, such as a name.
        Without a dictionary the run is one word.
        """
        if len(hanja) < 2 or not self.words or hanja in self.words:
            return [len(hanja)]
        lengths: list[int] = []
        loose = False
        for length in self._fewest(hanja):
            if length == 1 and loose:
                lengths[-1] += 1
            else:
                lengths.append(length)
            loose = length == 1
        return lengths

    def _fewest(self, hanja: str) -> list[int]:
        """The best split by dynamic programming from the end; linear in the length."""
        size = len(hanja)
        # Of the rest from each position: how many words, how many loose ones, its first length.
        best = [(0, 0, 0)] * (size + 1)
        for start in range(size - 1, -1, -1):
            rest = best[start + 1]
            found = (rest[0] + 1, rest[1] + 1, 1)
            for length in range(2, min(LONGEST, size - start) + 1):
                rest = best[start + length]
                if rest[:2] <= (found[0] - 1, found[1]) and hanja[start : start + length] in self.words:
                    found = (rest[0] + 1, rest[1], length)
            best[start] = found
        lengths = []
        start = 0
        while start < size:
            lengths.append(best[start][2])
            start += best[start][2]
        return lengths

    def read(self, hanja: str) -> str | None:
        """The reading of a word, or None if one of its Hanja is unknown.

        What begins with a surname and is not in the dictionary is a name.

        Example:
            >>> Words(usual={"女": "녀", "性": "성"}).read("女性")
            '여성'
        """
        if exception := self.exceptions.get(hanja):
            return exception
        syllables = [self.usual.get(char) for char in hanja]
        if hanja[0] in SURNAMES and len(hanja) in NAME_LENGTHS and self.words and hanja not in self.words:
            syllables[0] = SURNAMES[hanja[0]]
        known = [syllable for syllable in syllables if syllable is not None]
        return read_so(known) if len(known) == len(hanja) else None
