"""A caller's own words: 김영희 -> 金英姬, and words that must stay in Hangul.

A glossary decides before the model does. Of words that overlap in a text the one that begins first
counts, and of those the longest. Looking at a text costs a regular expression over the first
characters of the words, and a few look-ups where it matches.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hanjaserve.server.errors import BadOption
from hanjaserve.server.readings import ReadingTable, is_hanja, is_syllable

MAX_WORD = 16
"""Code points of the longest word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryEntry:
    """One word.

    Attributes:
        hangul: As it stands in texts.
        hanja: What it becomes, as many code points; empty with `keep`.
        keep: It stays as it is.
        allow_any_reading: Its Hanja need not be known to be read like its syllables.
    """

    hangul: str
    hanja: str = ""
    keep: bool = False
    allow_any_reading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A word of a glossary in a text: [start, end) becomes `hanja`; None keeps it."""

    start: int
    end: int
    hanja: str | None


class Glossary:
    """Checked entries, ready to be looked for. Immutable.

    Attributes:
        entries: As they were given.
        version: 16 hexadecimal digits, a hash of the entries in any order.

    Raises:
        BadOption: An entry is not allowed, or a word occurs twice; names the first one at fault.
    """

    def __init__(self, entries: Iterable[GlossaryEntry], readings: ReadingTable | None = None) -> None:
        self.entries = tuple(entries)
        self._hanja: dict[str, str | None] = {}
        first: dict[str, int] = {}
        for number, entry in enumerate(self.entries):
            if fault := _fault(entry, readings):
                raise _refused(number, *fault)
            if (other := first.setdefault(entry.hangul, number)) != number:
                what = f"is {entry.hangul!r}, like entry {other}: give a word once"
                raise _refused(number, "hangul", what)
            self._hanja[entry.hangul] = None if entry.keep else entry.hanja
        self.version = _version(self._hanja)
        self._lengths = _lengths_by_head(self._hanja)
        heads = "".join(map(re.escape, sorted(self._lengths)))
        self._heads = re.compile(f"[{heads}]") if heads else None

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, text: str, start: int = 0, stop: int | None = None) -> Iterator[Match]:
        """The words in a text, in order.

        Args:
            text: Where to look.
            start: Where to begin; no word before it may go on there.
            stop: Words begin before it, but may end after it; by default the end of the text.
        """
        if self._heads is None:
            return
        stop = len(text) if stop is None else stop
        at = start
        while head := self._heads.search(text, at, stop):
            at = head.start()
            for length in self._lengths[head[0]]:
                word = text[at : at + length]
                if word in self._hanja:
                    yield Match(start=at, end=at + length, hanja=self._hanja[word])
                    at += length
                    break
            else:
                at += 1


def _fault(entry: GlossaryEntry, readings: ReadingTable | None) -> tuple[str, str] | None:
    """The field of an entry that is wrong, and what is wrong with it."""
    hangul, hanja = entry.hangul, entry.hanja
    if not 1 <= len(hangul) <= MAX_WORD:
        return "hangul", f"has {len(hangul)} code points: use 1 to {MAX_WORD}"
    if any(char.isspace() or not char.isprintable() for char in hangul):
        return "hangul", f"is {hangul!r}: leave out white space and control characters"
    if entry.keep:
        return ("hanja", f"is {hanja[:MAX_WORD]!r}, but keep is set: leave one out") if hanja else None
    if len(hanja) != len(hangul):
        return "hanja", f"has {len(hanja)} code points, hangul has {len(hangul)}: they must be as many"
    if hanja == hangul:
        return "hanja", f"is {hanja!r}, like hangul: set keep instead"
    for syllable, char in zip(hangul, hanja, strict=True):
        if syllable == char:
            continue
        if not is_syllable(syllable):
            return "hanja", f"changes {syllable!r} to {char!r}: only Hangul syllables may change"
        if not is_hanja(char):
            return "hanja", f"changes {syllable!r} to {char!r}, which is no Hanja"
        if readings and not entry.allow_any_reading and not readings.allows(syllable, char):
            what = f"has {char}, not known to be read {syllable}: set allow_any_reading if it is meant"
            return "hanja", what
    return None


def _refused(number: int, field: str, what: str) -> BadOption:
    name = f"glossary.entries[{number}].{field}"
    return BadOption(name, f"{name} {what}")


def _version(hanja: Mapping[str, str | None]) -> str:
    lines = sorted(f"{word}\t{'' if found is None else found}\n" for word, found in hanja.items())
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _lengths_by_head(words: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First character -> lengths of the words that begin so, longest first."""
    found: dict[str, set[int]] = {}
    for word in words:
        found.setdefault(word[0], set()).add(len(word))
    return {head: tuple(sorted(lengths, reverse=True)) for head, lengths in found.items()}
