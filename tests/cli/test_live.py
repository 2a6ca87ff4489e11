"""`hanjaserve live`: its keys, its editor and its screen by themselves, and all of it once in a terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanjaserve.cli.live_editor import Editor
from hanjaserve.cli.live_keys import KeyReader
from hanjaserve.cli.live_screen import HELP, draw
from hanjaserve.client import Alternative, LiveSegment, Rendering, Span, SpanSource, Splice
from hanjaserve.server.rights import Right
from hanjaserve.server.tokens import make_token, token_line
from tests.e2e.process import ServerProcess
from tests.support.certificates import Authority

from .conftest import Hanjaserve


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ("수a".encode(), ["수", "a"]),
        (b"\x1b[D\x1b[3~\x7f\t\r", ["left", "delete", "backspace", "tab", "\n"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[15~x", ["x"]),
        (b"\x04\x03\x00", ["quit", "interrupt"]),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    assert list(KeyReader().feed(data)) == keys


def test_keys_that_come_in_parts() -> None:
    reader = KeyReader()
    data = "수".encode() + b"\x1b[C"
    assert [key for byte in data[:-2] for key in reader.feed(bytes([byte]))] == ["수", "escape"]
    reader = KeyReader()
    assert list(reader.feed(b"\x1b[")) == []
    assert list(reader.feed(b"C")) == ["right"]


def word(start: int, hangul: str, hanja: str, *others: str) -> Span:
    found = tuple(Alternative(hanja=other, score=0.1) for other in others)
    end = start + len(hangul)
    return Span(start=start, end=end, hangul=hangul, hanja=hanja, score=0.8, alternatives=found)


def kept(start: int, text: str) -> Span:
    end = start + len(text)
    return Span(start=start, end=end, hangul=text, hanja="", score=0.0, source=SpanSource.KEPT)


def segments(*spans: Span) -> list[LiveSegment]:
    return [LiveSegment(id=1, revision=1, start=0, end=spans[-1].end, text="", spans=spans)]


def typed(editor: Editor, *keys: str) -> list[Splice]:
    return [splice for key in keys for splice in editor.key(key)]


def test_editing() -> None:
    editor = Editor()
    assert typed(editor, "수", "는", "left", "도") == [
        Splice(start=0, end=0, text="수"), Splice(start=1, end=1, text="는"),
        Splice(start=1, end=1, text="도"),
    ]  # fmt: skip
    assert typed(editor, "backspace", "delete", "delete", "home", "backspace", "\n", "end") == [
        Splice(start=1, end=2, text=""), Splice(start=1, end=2, text=""), Splice(start=0, end=0, text="\n"),
    ]  # fmt: skip
    assert (editor.text, editor.cursor, editor.done) == ("\n수", 2, False)
    assert typed(editor, "quit", "up") == []
    assert editor.done


def test_choosing_a_spelling() -> None:
    editor = Editor(Rendering.HANGUL_HANJA)
    typed(editor, *"수도는 수도")
    editor.show(segments(word(0, "수도", "首都", "水道"), kept(2, "는 "), word(4, "수도", "首都", "水道")))
    assert editor.converted == "수도(首都)는 수도(首都)"
    typed(editor, "tab")
    assert editor.candidates is not None
    assert editor.candidates.spellings == ("首都", "水道", "수도")
    assert "\x1b[7m1 首都 0.80" in draw(editor, "")
    typed(editor, "2")
    assert editor.converted == "수도(首都)는 수도(水道)"
    typed(editor, "home", "tab", "tab", "down", "\n")
    assert editor.converted == "수도는 수도(水道)"
    # What is typed elsewhere moves a choice, what is typed into it ends it.
    assert typed(editor, "a") == [Splice(start=0, end=0, text="a")]
    editor.show(segments(kept(0, "a"), word(1, "수도", "首都"), kept(3, "는 "), word(5, "수도", "首都")))
    assert editor.converted == "a수도는 수도(水道)"
    typed(editor, "end", "backspace", "도")
    assert editor.converted == "a수도는 수도(首都)"


def test_ruby_is_valid_html_around_what_is_typed() -> None:
    editor = Editor(Rendering.RUBY)
    typed(editor, *"<b>수도&")
    editor.show(segments(kept(0, "<b>"), word(3, "수도", "首都"), kept(5, "&")))
    assert editor.converted == "&lt;b&gt;<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>&amp;"


def test_the_list_closes_and_lags() -> None:
    editor = Editor()
    typed(editor, *"수도", "tab")
    assert editor.candidates is None, "nothing is converted yet"
    editor.show(segments(word(0, "수도", "首都")))
    typed(editor, "tab", "escape")
    assert editor.candidates is None
    assert typed(editor, "tab", "x") == [Splice(start=2, end=2, text="x")]
    assert editor.candidates is None
    editor.show([LiveSegment(id=1, revision=1, start=0, end=3, text="수도x")])
    assert editor.converted == "수도x", "a segment that failed stands for itself"


def test_screen_is_safe_and_marks_the_cursor() -> None:
    editor = Editor()
    typed(editor, *"가나", "left")
    editor.show(segments(kept(0, "\x1b]0;x\n")))
    shown = draw(editor, "")
    assert "가\x1b7나" in shown and shown.endswith("\x1b8")
    assert "\x1b]0" not in shown and HELP in shown
    assert HELP not in draw(editor, "lost")


def test_needs_a_terminal(hanjaserve: Hanjaserve) -> None:
    done = hanjaserve("live")
    assert (done.returncode, b"needs a terminal" in done.stderr) == (2, True)


@pytest.fixture
def secured(tiny_bundle: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server that wants TLS and a token; its address, and the variables of one who may."""
    authority, token = Authority(tmp_path), make_token()
    pair = authority.issue("server")
    (tmp_path / "tokens").write_text(token_line("typist", [Right.LIVE], token))
    flags = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--tokens", str(tmp_path / "tokens"))
    with ServerProcess(tiny_bundle, *flags) as server:
        yield {
            "address": server.address,
            "HANJASERVE_CA": str(authority.path),
            "HANJASERVE_TOKEN": token,
        }


class Terminal:
    """The command in a pseudo-terminal."""

    def __init__(self, address: str, **environment: str) -> None:
        self.shown = ""
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hanjaserve.cli.main", "live", "--target", address],
            env={**os.environ, **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    @property
    def cooked(self) -> bool:
        """Whether the terminal itself shows and edits what is typed."""
        flags: int = termios.tcgetattr(self._ours)[3]
        return bool(flags & termios.ICANON and flags & termios.ECHO)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, wanted: str) -> None:
        give_up = time.monotonic() + 30
        while wanted not in self.shown:
            assert time.monotonic() < give_up, self.shown[-500:]
            if select.select([self._ours], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self._ours, 65536).decode(errors="ignore")
                except OSError:  # the other end is closed
                    assert wanted in self.shown, self.shown[-500:]

    def close(self) -> int:
        self.process.kill() if self.process.poll() is None else None
        os.close(self._ours)
        return self.process.wait()


def test_in_a_terminal(address: str) -> None:
    terminal = Terminal(address)
    try:
        terminal.until(HELP)
        terminal.type("수도와 상수도")
        terminal.until("首都와 상水道")
        terminal.type("\t")
        terminal.until("1 水道 0.76")
        terminal.type("\x1b[A\n\x04")  # up from the first one is the last one, the word in Hangul
        # The chosen spelling, printed once the screen is left.
        terminal.until("\x1b[?1049l首都와 상수도\r\n")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()


def test_ctrl_c_leaves_without_a_result(address: str) -> None:
    terminal = Terminal(address)
    try:
        terminal.until(HELP)
        terminal.type("수도\x03")
        assert terminal.process.wait(30) == 130
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(address: str, number: signal.Signals) -> None:
    terminal = Terminal(address)
    try:
        terminal.until(HELP)
        assert not terminal.cooked
        terminal.process.send_signal(number)
        assert terminal.process.wait(30) == 128 + number
        assert terminal.cooked
        terminal.until("\x1b[?1049l")
    finally:
        terminal.close()


def test_over_tls_with_a_token(secured: dict[str, str]) -> None:
    terminal = Terminal(**secured)
    try:
        terminal.until(HELP)
        terminal.type("수도와")
        terminal.until("首都와")
        terminal.type("\x04")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()
