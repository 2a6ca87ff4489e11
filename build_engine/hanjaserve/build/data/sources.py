"""Readers for the training and evaluation files; see docs/training.md for where they come from.

Every reader is a generator, so that nothing larger than a line is held. A malformed line stops with
its file, line number and reason.
"""

import lzma
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from hanjaserve.server.errors import BuildError
from hanjaserve.server.readings import is_hanja, is_syllable

DEFAULT_LEXICON = Path("/usr/share/libhangul/hanja/hanja.txt")


def data_folder() -> Path:
    """$HANJASERVE_DATA, else ../shared/data; raises BuildError when it is not there."""
    folder = Path(os.environ.get("HANJASERVE_DATA", "../shared/data"))
    if not folder.is_dir():
        raise BuildError(
            f"no training data at {folder}: set HANJASERVE_DATA to a folder with the files that "
            "docs/training.md lists"
        )
    return folder


def lines(name: str) -> Iterator[str]:
    """The lines of a data file `name`.xz, without line ends."""
    path = data_folder() / f"{name}.xz"
    if not path.is_file():
        raise BuildError(f"{path} is missing; docs/training.md says where it comes from")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def rows(name: str, columns: int) -> Iterator[list[str]]:
    """The tab-separated rows of a data file."""
    for number, line in enumerate(lines(name), 1):
        row = line.split("\t")
        if len(row) != columns:
            raise BuildError(f"{name}.xz line {number}: {len(row)} columns, expected {columns}")
        yield row


def bible(split: str) -> Iterator[tuple[str, str]]:
    """(hangul, mixed) verses of one split."""
    for row in rows("bible.tsv", 6):
        if row[3] == split:
            yield row[4], unicodedata.normalize("NFC", row[5])


def localisation() -> Iterator[tuple[str, str]]:
    """(hangul, mixed) of interface texts of today, for evaluation only."""
    return ((hangul, mixed) for hangul, mixed in rows("localisation_dev.tsv", 2))


def lexicon(path: Path | None = None) -> Iterator[tuple[str, str]]:
    """(hangul, hanja) entries of libhangul's hanja.txt, of equal length, best first for a word.

    Format: `hangul:hanja:gloss`, `#` comments
    (https://github.com/libhangul/libhangul/tree/main/data/hanja, BSD-3-Clause).
    """
    path = path or Path(os.environ.get("HANJASERVE_LEXICON", DEFAULT_LEXICON))
    if not path.is_file():
        raise BuildError(
            f"no lexicon at {path}: install the package libhangul-data or set HANJASERVE_LEXICON"
        )
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.rstrip("\n").split(":")
            if len(fields) < 2:
                raise BuildError(f"{path} line {number}: no ':' in {line.strip()!r}")
            hangul, hanja = fields[0], unicodedata.normalize("NFC", fields[1])
            if len(hangul) == len(hanja) and all(map(_spells, hangul, hanja)):
                yield hangul, hanja


def _spells(hangul: str, hanja: str) -> bool:
    return is_syllable(hangul) and (hangul == hanja or is_hanja(hanja))


def annotated(name: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Sentences with 한글(漢字) annotations: (text without them, [(start, hanja)])."""
    for line in lines(name):
        text, notes = strip_annotations(unicodedata.normalize("NFC", line))
        if notes:
            yield text, notes


def strip_annotations(line: str) -> tuple[str, list[tuple[int, str]]]:
    """Takes 한글(漢字) out of a line where the lengths agree.

    Example:
        >>> strip_annotations("대만 대동(臺東)에서")
        ('대만 대동에서', [(3, '臺東')])
    """
    out: list[str] = []
    notes: list[tuple[int, str]] = []
    at = 0
    while at < len(line):
        if line[at] == "(":
            end = line.find(")", at)
            inner = line[at + 1 : end] if end > 0 else ""
            size = len(inner)
            before = out[-size:] if size else []
            if size and all(map(is_hanja, inner)) and len(before) == size:
                if all(map(is_syllable, before)):
                    notes.append((len(out) - size, inner))
                    at = end + 1
                    continue
        out.append(line[at])
        at += 1
    return "".join(out), notes
