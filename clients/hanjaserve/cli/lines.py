r"""Lines in, lines out: reading without loss, writing all or nothing.

Only \n ends a line; a \r before it, and a missing \n at the end of the file, are kept, so that the
output has exactly the lines of the input. Memory is bounded by the longest line.
"""

import codecs
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from hanjaserve.cli.errors import USAGE, CliError
from hanjaserve.cli.interruption import Leftovers

READ_BYTES = 1 << 16
MAX_LINE_BYTES = 64 << 20


class ByteSource(Protocol):
    """What lines are read from: an unbuffered binary file."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Whatever is there, at most `size` bytes; empty at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    r"""One line.

    Attributes:
        text: Without its end.
        ending: "\n", "\r\n", or "" when the file ends without.
        size: Its bytes in the input, the end included.
    """

    text: str
    ending: str
    size: int


def read_lines(source: ByteSource, name: str) -> Iterator[list[Line]]:
    """Read lines as they come: each list holds what one read completed.

    Raises:
        CliError: The input is not UTF-8, or a line is too long; says where.
    """
    parts: list[bytes] = []
    offset = held = 0
    while data := source.read(READ_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            complete = b"".join([*parts, data[:end]])
            yield _split(complete, offset, name)
            offset += len(complete)
            parts, held = [], 0
        if end < len(data):
            parts.append(data[end:])
            held += len(data) - end
        if held > MAX_LINE_BYTES:
            raise CliError(
                f"{name}: the line at byte {offset:,} is longer than {MAX_LINE_BYTES:,} bytes; "
                "is this a text file?",
                USAGE,
            )
    if parts:
        yield _split(b"".join(parts), offset, name)


def _split(data: bytes, offset: int, name: str) -> list[Line]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(data, offset + error.start, name) from None
    lines = text.split("\n")
    last = lines.pop()
    result = [_line(line, "\n") for line in lines]
    if last:
        result.append(_line(last, ""))
    return result


def _line(text: str, ending: str) -> Line:
    size = len(text.encode()) + len(ending)
    if ending and text.endswith("\r"):
        return Line(text=text[:-1], ending="\r\n", size=size)
    return Line(text=text, ending=ending, size=size)


def _not_utf8(data: bytes, offset: int, name: str) -> CliError:
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    guess = "UTF-16" if data.startswith(marks) else "CP949 (EUC-KR)"
    return CliError(
        f"{name}: not UTF-8 at byte {offset:,}; if it is {guess}, convert it with iconv first",
        USAGE,
    )


@contextmanager
def atomic_output(path: Path, leftovers: Leftovers) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears, complete, only when the block succeeds.

    Written to a temporary name in the same folder and renamed, so a reader sees the old file or the
    new one, never half of it. What is not a regular file (a pipe, /dev/null) is written directly.

    Args:
        path: Where.
        leftovers: Keeps the temporary file, should a signal end the process meanwhile.

    Raises:
        CliError: It cannot be written.
    """
    path = Path(os.path.realpath(path))

    def make() -> IO[bytes]:
        return tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        )

    with ExitStack() as stack:
        try:
            mode = _mode(path)
            file = stack.enter_context(path.open("wb") if mode is None else leftovers.holding(make, _remove))
        except OSError as error:
            raise CliError(f"cannot write {path}: {error.strerror or error}", USAGE) from error
        with file:
            yield file
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        if mode is not None:
            os.replace(file.name, path)


def _remove(file: IO[bytes]) -> None:
    Path(file.name).unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """The permissions that the new file gets; None for what is not a regular file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, "is a folder", str(path))
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None
