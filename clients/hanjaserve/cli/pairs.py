"""Sentence pairs for evaluation: Hangul TAB mixed script per line, plain or .xz.

A first line that names the columns `hangul` and `mixed` picks these among others. A line that is
not a pair stops the reading: a measure over silently dropped lines is not a measure.
"""

import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from hanjaserve.cli.errors import USAGE, CliError

COLUMNS = ("hangul", "mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sentence and its human conversion, of the same length."""

    line: int
    hangul: str
    mixed: str


def read_pairs(path: Path) -> Iterator[Pair]:
    """Read pairs one by one.

    Raises:
        CliError: The file cannot be read, or a line is not a pair; says which and why.
    """
    try:
        # Only \n ends a line, here as in `lines.py`.
        with io.TextIOWrapper(_open(path), encoding="utf-8", newline="\n") as lines:
            yield from _parse(lines, path)
    except UnicodeDecodeError as error:
        raise CliError(f"{path}: not UTF-8: {error.reason}; convert it first", USAGE) from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise CliError(f"cannot read {path}: {error}", USAGE) from error


def _open(path: Path) -> IO[bytes]:
    return lzma.open(path) if path.suffix == ".xz" else path.open("rb")


def _parse(lines: Iterator[str], path: Path) -> Iterator[Pair]:
    first = next(lines, "")
    header = _cells(first)
    named = set(COLUMNS) <= set(header)
    width = len(header) if named else len(COLUMNS)
    hangul, mixed = (header.index(name) for name in COLUMNS) if named else (0, 1)
    rest = lines if named else chain([first] if first else [], lines)
    for number, line in enumerate(rest, start=2 if named else 1):
        cells = _cells(line)
        if len(cells) != width:
            raise _malformed(path, number, f"has {len(cells)} columns, not {width}")
        reason = _fault(cells[hangul], cells[mixed])
        if reason:
            raise _malformed(path, number, reason)
        yield Pair(line=number, hangul=cells[hangul], mixed=cells[mixed])


def _cells(line: str) -> list[str]:
    return line.removesuffix("\n").removesuffix("\r").split("\t")


def _fault(hangul: str, mixed: str) -> str:
    """Why two strings are not a pair; empty when they are."""
    if len(hangul) != len(mixed):
        return f"has {len(hangul)} characters in Hangul and {len(mixed)} in mixed script"
    for index, (before, after) in enumerate(zip(hangul, mixed, strict=True)):
        if before != after and not "가" <= before <= "힣":
            return f"differs at character {index + 1}, where {before!r} is not a Hangul syllable"
    return ""


def _malformed(path: Path, number: int, reason: str) -> CliError:
    return CliError(f"{path}:{number}: the line {reason}; expected HANGUL TAB MIXED", USAGE)
