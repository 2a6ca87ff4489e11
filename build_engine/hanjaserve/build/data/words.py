"""The bundle's `words.txt`, from the dictionary: Hanja words, and how Hanja are usually read."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from hanjaserve.build.data.tables import Tables
from hanjaserve.server.readings import at_start, is_hanja
from hanjaserve.server.words import LONGEST, WORDS, Words


def save_words(tables: Tables, folder: Path) -> None:
    """Write `words.txt`; see `hanjaserve.server.words` for the format."""
    Words.save(folder / WORDS, _words(tables), usual_readings(tables))


def _words(tables: Tables) -> Iterator[tuple[str, str]]:
    for hangul, spellings in tables.spellings.items():
        for hanja in spellings:
            if 2 <= len(hanja) <= LONGEST and all(map(is_hanja, hanja)):
                yield hanja, hangul


def usual_readings(tables: Tables) -> dict[str, str]:
    """The syllable that dictionary words most often read a Hanja with.

    What stands at the start of a word counts only for Hanja that stand nowhere else, and 열 and 율
    count as 렬 and 률 where a Hanja is read both ways: see `read_so` for the rules behind it.
    """
    readings: dict[str, set[str]] = defaultdict(set)
    for syllable, slots in tables.slots.items():
        for hanja in slots:
            readings[hanja].add(syllable)
    inside: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, Counter[str]] = defaultdict(Counter)
    for hangul, spellings in tables.spellings.items():
        for spelling in spellings:
            for place, (syllable, hanja) in enumerate(zip(hangul, spelling, strict=True)):
                if syllable == hanja:
                    continue
                strong = _strong(syllable, readings[hanja])
                if place == 0:
                    first[hanja][strong] += 1
                else:
                    inside[hanja][strong if syllable in ("열", "율") else syllable] += 1
    usual = {}
    for hanja, found in sorted(readings.items()):
        counts = inside.get(hanja) or first.get(hanja)
        usual[hanja] = counts.most_common(1)[0][0] if counts else _strong(min(found), found)
    return usual


def _strong(syllable: str, readings: set[str]) -> str:
    """The reading of which a syllable is only the form at the start of a word; else itself."""
    if at_start(syllable) != syllable:
        return syllable
    return next((s for s in sorted(readings) if s != syllable and at_start(s) == syllable), syllable)
