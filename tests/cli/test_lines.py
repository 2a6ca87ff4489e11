"""Reading without loss and writing all or nothing."""

import io
import os
import stat
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.cli.errors import USAGE, CliError
from hanjaserve.cli.interruption import Leftovers
from hanjaserve.cli.lines import MAX_LINE_BYTES, atomic_output, read_lines


class Pieces:
    """A source that gives what it likes, as a pipe does."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read(self, size: int = -1, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@given(
    st.lists(st.sampled_from(["수도", "\r", "\n", "\r\n", "a", "\x85", "\u2028", "\0", "\v"])),
    st.lists(st.integers(0, 60)),
)
def test_lines_put_together_are_the_input(parts: list[str], cuts: list[int]) -> None:
    data = "".join(parts).encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    lines = [line for chunk in read_lines(Pieces(*pieces), "test") for line in chunk]
    assert "".join(line.text + line.ending for line in lines).encode() == data
    assert sum(line.size for line in lines) == len(data)
    assert len(lines) == len(io.BytesIO(data).readlines())
    assert all("\n" not in line.text for line in lines)


def test_lines_come_as_soon_as_they_are_complete() -> None:
    chunks = list(read_lines(Pieces(b"a\nb", b"c\nd\n", b"e"), "test"))
    assert [[line.text for line in chunk] for chunk in chunks] == [["a"], ["bc", "d"], ["e"]]


@pytest.mark.parametrize(
    ("pieces", "offset"),
    [((b"ok\n\xff",), "3"), ((b"ok\nab", b"c\n", b"d\xc3"), "8"), ((b"\xea\xb0\n",), "0")],
)
def test_invalid_utf8_says_where(pieces: tuple[bytes, ...], offset: str) -> None:
    with pytest.raises(CliError, match=f"in.txt: not UTF-8 at byte {offset};") as caught:
        list(read_lines(Pieces(*pieces), "in.txt"))
    assert caught.value.exit_code == USAGE


def test_a_line_without_end_is_refused() -> None:
    piece = b"a" * (MAX_LINE_BYTES // 2)
    with pytest.raises(CliError, match="the line at byte 2 is longer than"):
        list(read_lines(Pieces(b"x\n", piece, piece, b"a"), "test"))


def test_output_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_output(path, Leftovers()) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failure_leaves_the_old_output(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_output(path, Leftovers()) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_new_output_has_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with atomic_output(path, Leftovers()):
        pass
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_links_are_followed_and_special_files_written_directly(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with atomic_output(link, Leftovers()) as file:
        file.write(b"x")
    assert link.is_symlink() and target.read_bytes() == b"x"
    with atomic_output(Path("/dev/null"), Leftovers()) as file:
        file.write(b"x")
    assert Path("/dev/null").is_char_device()


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(CliError, match=r"cannot write .*nowhere"),
        atomic_output(tmp_path / "nowhere" / "out.txt", Leftovers()),
    ):
        pass
    with pytest.raises(CliError, match="is a folder"), atomic_output(tmp_path, Leftovers()):
        pass
