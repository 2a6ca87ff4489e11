"""`hanjaserve evaluate` on pairs whose numbers are known."""

import json
import lzma
from pathlib import Path

import pytest

from hanjaserve.cli.errors import CliError
from hanjaserve.cli.pairs import Pair, read_pairs

from .conftest import Hanjaserve

PAIRS = [
    ("대한민국 수도는 서울이다", "大韓民國 首都는 서울이다"),  # right
    ("상수도 요금", "上水道 料金"),  # the tiny model knows neither 上 nor 料金
    ("물은 불", "물은 불"),  # nothing to convert
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{hangul}\t{mixed}\n" for hangul, mixed in PAIRS), "utf-8")
    return path


@pytest.mark.parametrize("where", [[], ["--local"]])
def test_report(hanjaserve: Hanjaserve, data: Path, tmp_path: Path, where: list[str]) -> None:
    done = hanjaserve("evaluate", "--data", data, "--json", tmp_path / "report.json", *where)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "hanja recall" in done.stdout.decode()
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    value = {name: metric["value"] for name, metric in report["metrics"].items()}
    # 11 + 5 + 3 syllables of which 上, 料 and 金 are missed; 4 words of which 上水道 and 料金 are.
    assert value["syllable_accuracy"] == pytest.approx(16 / 19, abs=1e-6)
    assert value["hanja_precision"] == 1
    assert value["hanja_recall"] == pytest.approx(8 / 11, abs=1e-6)
    assert value["hanja_f1"] == pytest.approx(16 / 19, abs=1e-6)
    assert value["word_accuracy"] == 0.5
    assert value["exact_sentences"] == pytest.approx(2 / 3, abs=1e-6)
    assert 0 < value["calibration_error"] < 1
    assert report["counts"]["sentences"] == 3
    assert report["counts"]["length_changes"] == 0
    assert report["counts"]["reading_violations"] in (0, None)


def test_limit(hanjaserve: Hanjaserve, data: Path) -> None:
    done = hanjaserve("evaluate", "--data", data, "--limit", "1")
    assert done.stdout.decode().splitlines()[1].split()[:3] == ["syllable", "accuracy", "1.0000"]
    assert hanjaserve("evaluate", "--data", data, "--limit", "0").returncode == 2


def test_a_malformed_line_stops(hanjaserve: Hanjaserve, data: Path) -> None:
    with data.open("a", encoding="utf-8") as file:
        file.write("수도\t首\n")
    done = hanjaserve("evaluate", "--data", data)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"hanjaserve evaluate: {data}:4: the line has 2 characters in Hangul and 1 in mixed "
        "script; expected HANGUL TAB MIXED\n"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("수도 首都\n", "has 1 columns, not 2"),
        ("수도\t首都\tx\n", "has 3 columns, not 2"),
        ("\n", "has 1 columns, not 2"),
        ("a도\tb都\n", "differs at character 1, where 'a' is not a Hangul syllable"),
    ],
)
def test_reasons(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(content, "utf-8")
    with pytest.raises(CliError, match=f":1: the line {reason}"):
        list(read_pairs(path))


def test_columns_by_name_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv.xz"
    path.write_bytes(lzma.compress("book\tmixed\thangul\r\nx\t首都\t수도\r\n".encode()))
    assert list(read_pairs(path)) == [Pair(line=2, hangul="수도", mixed="首都")]


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="cannot read"):
        list(read_pairs(tmp_path / "none.tsv"))
    (tmp_path / "bad.xz").write_bytes(b"not xz at all")
    with pytest.raises(CliError, match="cannot read"):
        list(read_pairs(tmp_path / "bad.xz"))
    (tmp_path / "cp949.tsv").write_bytes("수도\t首都".encode("cp949"))
    with pytest.raises(CliError, match="not UTF-8"):
        list(read_pairs(tmp_path / "cp949.tsv"))
