"""Signals end a command wherever they strike: also where an exception would be lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hanjaserve.cli.interruption import Leftovers, run_interruptibly

STRUCK = """
import os, signal, sys, tempfile, time
from hanjaserve.cli import convert, main
number = int(sys.argv.pop(1))

class Swallowing:
    def __del__(self):  # whatever is raised here is lost
        os.kill(os.getpid(), number)
        time.sleep(0.1)

def in_a_destructor(conversion, line, _original=convert._text_line):
    Swallowing()
    return _original(conversion, line)

def before_the_try(*args, _original=tempfile.NamedTemporaryFile, **kwargs):
    file = _original(*args, **kwargs)
    os.kill(os.getpid(), number)
    time.sleep(0.1)
    return file
"""
PLACES = {
    "destructor": STRUCK + "convert._text_line = in_a_destructor\nsys.exit(main.main())",
    "file": STRUCK + "tempfile.NamedTemporaryFile = before_the_try\nsys.exit(main.main())",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_wherever_the_signal_strikes(
    address: str, tmp_path: Path, place: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", PLACES[place], str(int(number)), "convert", "--target", address]
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "out.txt")], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stderr
        process.stdin.write("수도\n".encode())
        process.stdin.flush()  # and stays open: nothing but the signal ends the command
        try:
            assert process.wait(20) == 128 + number
        finally:
            process.kill()
        assert process.stderr.read() == b""
    assert os.listdir(tmp_path) == []


def test_what_is_ignored_stays_ignored(address: str) -> None:
    program = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + PLACES["destructor"]
    command = [sys.executable, "-c", program, str(int(signal.SIGHUP)), "convert", "수도", "--target", address]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "首都\n", b"")


def test_results_and_errors_come_through() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert run_interruptibly(lambda _: 7) == 7

    def fails(leftovers: Leftovers) -> int:
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="3"):
        run_interruptibly(fails)
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_leftovers_go_with_their_block() -> None:
    leftovers, there = Leftovers(), []
    with leftovers.holding(lambda: there.append(1), lambda _: there.pop()):
        assert there == [1]
    assert there == []
    with pytest.raises(ValueError), leftovers.holding(lambda: there.append(1), lambda _: there.pop()):
        raise ValueError
    assert there == []
    leftovers.remove_all()
    assert there == []


SLOW = """
import sys, time
from hanjaserve.cli.interruption import run_interruptibly

def work(leftovers):
    with leftovers.holding(lambda: None, lambda _: time.sleep(60)):
        print("held", flush=True)
        time.sleep(60)

run_interruptibly(work)
"""


def test_a_second_signal_does_not_wait_for_the_removal() -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
