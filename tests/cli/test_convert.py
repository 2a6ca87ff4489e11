"""`hanjaserve convert`, as a user runs it: against a real server and in process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Hanjaserve

SENTENCE, CONVERTED = "대한민국 수도는 서울이다", "大韓民國 首都는 서울이다"


@pytest.fixture(params=["server", "local"])
def where(request: pytest.FixtureRequest) -> list[str]:
    return ["--local"] if request.param == "local" else []


def test_texts(hanjaserve: Hanjaserve, where: list[str]) -> None:
    done = hanjaserve("convert", SENTENCE, "상수도", "", *where)
    assert done.stdout.decode() == f"{CONVERTED}\n상水道\n\n"
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("data", ["", "\n", "수도", "수도\r\n\r\na\rb\n수도", "수도\n\n\n"])
def test_lines_out_are_lines_in(hanjaserve: Hanjaserve, where: list[str], data: str) -> None:
    done = hanjaserve("convert", *where, stdin=data.encode())
    assert done.stdout.decode() == data.replace("수도", "首都")
    assert (done.returncode, done.stderr) == (0, b"")


def test_files(hanjaserve: Hanjaserve, where: list[str], tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text("수도 1\n" * 5000, "utf-8")
    done = hanjaserve("convert", "-i", source, "-o", source, *where)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert source.read_text("utf-8") == "首都 1\n" * 5000
    assert os.listdir(tmp_path) == ["text.txt"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--rendering", "hangul-hanja"], "수도(首都) 수도(首都) <b>"),
        (["--rendering", "hanja-hangul"], "首都(수도) 首都(수도) <b>"),
        (["--first-only"], "首都 수도 <b>"),
        (["--min-score", "0.99"], "수도 수도 <b>"),
        (["--style", "modern"], "首都 首都 <b>"),
    ],
)
def test_options(hanjaserve: Hanjaserve, where: list[str], flags: list[str], expected: str) -> None:
    done = hanjaserve("convert", "수도 수도 <b>", *flags, *where)
    assert done.stdout.decode() == expected + "\n"


def test_json(hanjaserve: Hanjaserve, where: list[str]) -> None:
    done = hanjaserve("convert", "--json", "--alternatives", "2", *where, stdin="수도\n물".encode())
    word, water = map(json.loads, done.stdout.splitlines())
    assert water == {"text": "물", "spans": []}
    assert word["text"] == "首都"
    (span,) = word["spans"]
    assert (span["start"], span["end"], span["hangul"], span["hanja"]) == (0, 2, "수도", "首都")
    assert 0 < span["score"] < 1
    assert isinstance(span["alternatives"], list)


def test_server_and_local_agree(hanjaserve: Hanjaserve) -> None:
    data = "\n".join(f"{SENTENCE} {n} 의사가 학교에서 음악을" for n in range(300)).encode()
    arguments = ("convert", "--json", "--alternatives", "3")
    remote = hanjaserve(*arguments, stdin=data).stdout.splitlines()
    local = hanjaserve(*arguments, "--local", stdin=data).stdout.splitlines()
    assert len(remote) == len(local) == 300
    for first, second in zip(map(json.loads, remote), map(json.loads, local), strict=True):
        assert first == second


def test_no_server(hanjaserve: Hanjaserve) -> None:
    done = hanjaserve("convert", "수도", "--target", "127.0.0.1:1")
    assert done.returncode == 3
    assert done.stderr.decode() == (
        "hanjaserve convert: no server at 127.0.0.1:1: start one with `hanjaserve serve`, or use --local\n"
    )


def test_no_bundle(hanjaserve: Hanjaserve, tmp_path: Path) -> None:
    done = hanjaserve("convert", "수도", "--local", "--bundle", tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and str(tmp_path) in done.stderr.decode()


def test_a_bad_line_stops_and_leaves_the_old_output(hanjaserve: Hanjaserve, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("수도\n" * 99 + "가" * 1_000_001 + "\n수도\n", "utf-8")
    target.write_text("old")
    done = hanjaserve("convert", "-i", source, "-o", target)
    assert done.returncode == 1
    message = done.stderr.decode()
    assert f"{source}: line 100: " in message and "1000000" in message.replace(",", "")
    assert len(message.splitlines()) == 1
    assert target.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["in.txt", "out.txt"]


def test_arguments_that_are_not_utf8(hanjaserve: Hanjaserve, where: list[str]) -> None:
    done = hanjaserve("convert", "수도", os.fsdecode(b"\xbc\xf6"), *where)
    assert done.returncode == 2 and b"text 2 is not UTF-8" in done.stderr


def test_invalid_utf8(hanjaserve: Hanjaserve, where: list[str]) -> None:
    done = hanjaserve("convert", *where, stdin=b"a\n" + "수도".encode("cp949"))
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "hanjaserve convert: standard input: not UTF-8 at byte 2; "
        "if it is CP949 (EUC-KR), convert it with iconv first\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "-i", "b"], "not both"),
        (["--alternatives", "1"], "needs --json"),
        (["--json", "--alternatives", "9"], "use 0 to 8"),
        (["--min-score", "2"], "use a number from 0 to 1"),
        (["-i", "/nowhere"], "cannot read /nowhere"),
        (["a", "--bundle", "b"], "--bundle needs --local"),
        (["a", "--style", "baroque"], "baroque"),
        (["a", "--local", "--target", "x"], "not allowed with"),
    ],
)
def test_usage(hanjaserve: Hanjaserve, arguments: list[str], message: str) -> None:
    done = hanjaserve("convert", *arguments)
    assert done.returncode in (1, 2) and message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing_behind(
    address: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "hanjaserve.cli.main", "convert", "--target", address]
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "out.txt")], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stderr
        process.stdin.write("수도\n".encode() * 100)
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr.read() == b""
    assert os.listdir(tmp_path) == []


def test_answers_do_not_wait_for_more_input(address: str) -> None:
    command = [sys.executable, "-m", "hanjaserve.cli.main", "convert", "--target", address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for _ in range(3):
            process.stdin.write("수도\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == "首都\n"
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_reader_that_goes_away_is_no_error(address: str) -> None:
    command = [sys.executable, "-m", "hanjaserve.cli.main", "convert", "--target", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write("수도\n".encode())
        process.stdin.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def test_glossary_characters_and_readings(hanjaserve: Hanjaserve, where: list[str], tmp_path: Path) -> None:
    words, characters = tmp_path / "words.tsv", tmp_path / "characters.txt"
    words.write_text("학교\n수도\t水道\n정부\t學校\n", "utf-8")
    characters.write_text("大韓\n民國\n", "utf-8")
    refused = hanjaserve("convert", "--glossary", words, "수도", *where)
    assert (refused.returncode, b"glossary.entries[2].hanja has" in refused.stderr) == (1, True)
    done = hanjaserve(
        "convert", "--glossary", words, "--any-reading", "--characters", characters, "--read-hanja",
        "--rendering", "hanja-hangul", "대한민국 수도, 학교 음악 首都 정부", *where,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.decode() == "大韓民國(대한민국) 水道(수도), 학교 음악 首都(수도) 學校(정부)\n"
    kept = hanjaserve("convert", "--json", "--kept", "수도는 首都", "--read-hanja", *where)
    spans = json.loads(kept.stdout)["spans"]
    assert [(span["hangul"], span["hanja"], span["source"]) for span in spans] == [
        ("수도", "首都", "model"), ("는 ", "", "kept"), ("수도", "首都", "reading"),
    ]  # fmt: skip
