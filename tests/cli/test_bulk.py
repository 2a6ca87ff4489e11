"""`hanjaserve bulk`: every format, bad rows, and work that is killed and goes on."""

import csv
import gzip
import io
import json
import lzma
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs hanjaserve[bulk]")
pytest.importorskip("pyarrow", reason="needs hanjaserve[bulk]")

import pyarrow as pa
import pyarrow.parquet as pq

from hanjaserve.cli.bulk import formats
from hanjaserve.cli.bulk.formats import Columns
from hanjaserve.cli.bulk.ledger import Ledger, opened
from hanjaserve.cli.bulk.parts import PartConverter, Report, Task, read_parts
from hanjaserve.cli.bulk.sources import Source, find_sources
from hanjaserve.cli.errors import CliError
from hanjaserve.cli.interruption import Leftovers
from hanjaserve.cli.main import main
from hanjaserve.client import ConvertOptions
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.local import LocalConverter
from tests.support.tiny import convert

TEXTS = [f"대한민국 {number}의 수도와\r 상수도" for number in range(7)]


def packed(data: bytes, packing: str) -> bytes:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": lambda data: data,
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    }
    return pack[packing](data)


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            return gzip.decompress(data)
        case ".xz":
            return lzma.decompress(data)
        case ".zst":
            return bytes(pa.input_stream(path, compression="zstd").read())
    return data


def as_csv(rows: list[list[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


class Bench:
    """Runs readers and workers here, without Ray between them."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.input, self.output = folder / "in", folder / "out"
        self.input.mkdir()
        self._bundle = bundle

    def task(self, **changes: Any) -> Task:
        settings: dict[str, Any] = {
            "bundle": str(self._bundle),
            "revision": Bundle.open(self._bundle).manifest.revision,
            "runner": "onnxruntime",
            "options": ConvertOptions(),
            "columns": Columns(text="text", out="hanja"),
            "on_error": "fail",
            "part_rows": 3,
            "output": str(self.output),
        }
        return Task(**{**settings, **changes})

    def run(self, **changes: Any) -> list[Report]:
        task = self.task(**changes)
        converter = PartConverter(task)
        sources = find_sources([self.input], self.output)
        parts = [part for source in sources for part in read_parts(source, task, ())]
        return [converter.finish(pickle.loads(pickle.dumps(part))) for part in parts]


@pytest.fixture
def bench(tiny_bundle: Path, tmp_path: Path) -> Bench:
    return Bench(tiny_bundle, tmp_path)


@pytest.mark.parametrize("packing", ["", ".gz", ".xz", ".zst"])
def test_text(bench: Bench, packing: str) -> None:
    data = "\n".join(TEXTS).encode()
    (bench.input / f"a.txt{packing}").write_bytes(packed(data, packing))
    reports = bench.run()
    assert [(report.name, report.rows, report.bad) for report in reports] == [
        (f"a-{number:06d}.txt{packing}", rows, ()) for number, rows in enumerate((3, 3, 1))
    ]
    whole = b"".join(unpacked(bench.output / report.name) for report in reports)
    assert whole.decode() == "".join(f"{convert(text)}\n" for text in TEXTS)


@pytest.mark.parametrize("packing", ["", ".gz", ".xz", ".zst"])
def test_json_lines(bench: Bench, packing: str) -> None:
    rows = [{"id": number, "text": text, "또": [None, 1.5]} for number, text in enumerate(TEXTS)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (bench.input / f"a.jsonl{packing}").write_bytes(packed(data, packing))
    lines = b"".join(unpacked(bench.output / report.name) for report in bench.run()).splitlines()
    expected = [{**row, "hanja": convert(text)} for row, text in zip(rows, TEXTS, strict=True)]
    assert [json.loads(line) for line in lines] == expected


@pytest.mark.parametrize("packing", ["", ".gz"])
def test_csv(bench: Bench, packing: str) -> None:
    texts = [f'{text}, "둘째"\n수도' for text in TEXTS]
    data = as_csv([["007", "text"], *([number, text] for number, text in enumerate(texts))])
    (bench.input / f"a.csv{packing}").write_bytes(packed(b"\xef\xbb\xbf" + data, packing))
    for report, first in zip(bench.run(), (0, 3, 6), strict=True):
        expected = [[n, text, convert(text)] for n, text in enumerate(texts)][first : first + 3]
        assert unpacked(bench.output / report.name) == as_csv([["007", "text", "hanja"], *expected])


def test_parquet(bench: Bench) -> None:
    table = pa.table({"id": range(7), "text": TEXTS, "nested": [[{"a": 1}]] * 7})
    pq.write_table(table, bench.input / "a.parquet", row_group_size=2)
    reports = bench.run()
    found = pa.concat_tables(pq.read_table(bench.output / report.name) for report in reports)
    assert found.drop_columns("hanja").equals(table)
    assert found.column("hanja").to_pylist() == [convert(text) for text in TEXTS]
    (bench.output / reports[0].name).unlink()
    assert [report.rows for report in bench.run(columns=Columns(text="text", out="text"))] == [3, 3, 1]
    replaced = pq.read_table(bench.output / reports[0].name)
    assert replaced.column_names == table.column_names
    assert replaced.column("text").to_pylist() == [convert(text) for text in TEXTS[:3]]


def test_options_are_those_of_convert(bench: Bench) -> None:
    (bench.input / "a.txt").write_text("수도 학교\n", "utf-8")
    options = ConvertOptions(rendering="hangul-hanja", glossary={"학교": None})
    (report,) = bench.run(options=options)
    assert (bench.output / report.name).read_text("utf-8") == "수도(首都) 학교\n"


BAD_TEXTS: list[tuple[object, str]] = [
    ("수도", ""),
    (None, "the text is null"),
    (5, "it is no text, but int"),
    ("가" * 1_000_001, "the text has 1000001 code points, the limit is 1000000"),
    ("\ud800", "the text is not UTF-8"),
    ("학교", ""),
]


@pytest.mark.parametrize("policy", ["fail", "skip", "null"])
def test_bad_rows_are_told_and_treated_as_asked(bench: Bench, policy: str) -> None:
    lines = [json.dumps({"text": text}) for text, _ in BAD_TEXTS]
    lines += ["not JSON", "[1]", '{"other": 1}', '{"text": "수도", "hanja": "x"}']
    reasons = [why for _, why in BAD_TEXTS] + [
        "it is not JSON in UTF-8",
        "it is JSON, but not an object",
        "it has no column 'text'",
        "it has a column 'hanja' already",
    ]
    (bench.input / "a.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    (report,) = bench.run(on_error=policy, part_rows=100)
    assert report.bad == tuple((row, why) for row, why in enumerate(reasons, start=1) if why)
    output = bench.output / report.name
    if policy == "fail":
        assert not output.exists()
        return
    found = [json.loads(line).get("hanja", "missing") for line in output.read_bytes().splitlines()]
    assert found == (["首都", "學校"] if policy == "skip" else ["首都", *[None] * 4, "學校", *[None] * 4])


@pytest.mark.parametrize(("policy", "expected"), [("skip", 'text,hanja\n수도,首都\n'), ("null", None)])
def test_bad_rows_of_other_formats(bench: Bench, policy: str, expected: str | None) -> None:
    data = "text\n수도\n수도,x\n".encode() + "수도\n".encode("cp949")
    (bench.input / "a.csv").write_bytes(data)
    (bench.input / "b.txt").write_bytes("수도\n".encode() + b"\xff\n")
    pq.write_table(pa.table({"text": ["수도", None]}), bench.input / "c.parquet")
    table, lines, parquet = bench.run(on_error=policy)
    assert table.bad == ((2, "it has 2 fields, the header has 1"), (3, "the text is not UTF-8"))
    assert lines.bad == ((2, "the text is not UTF-8"),)
    assert parquet.bad == ((2, "the text is null"),)
    skips = policy == "skip"
    assert (bench.output / lines.name).read_text("utf-8") == ("首都\n" if skips else "首都\n\n")
    found = pq.read_table(bench.output / parquet.name).column("hanja").to_pylist()
    assert found == (["首都"] if skips else ["首都", None])
    if expected:
        assert (bench.output / table.name).read_text("utf-8") == expected


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"id,other\n1,2\n", "it has no column 'text', or several; the columns are: id, other"),
        ("a.csv", b"text,hanja\n1,2\n", "it has a column 'hanja' already"),
        ("a.csv", b'text\n"open\n', "line 2: unexpected end of data"),
        ("a.parquet", b"PAR1 not", "Parquet"),
        ("a.txt.gz", gzip.compress(b"text\n" * 1000)[:-9], "end-of-stream"),
        ("a.txt.gz", b"not packed\n", "Not a gzipped file"),
        ("a.txt.xz", b"not packed\n", "format not supported"),
        ("a.txt.zst", b"not packed\n", "ZSTD"),
    ],
    ids=["no column", "two columns", "open quote", "parquet", "cut short", "gz", "xz", "zst"],
)
def test_files_that_are_not_what_they_are_called(bench: Bench, name: str, data: bytes, message: str) -> None:
    (bench.input / name).write_bytes(data)
    report = bench.run()[-1]
    assert report.fault.startswith(str(bench.input / name)) and message in report.fault


def test_long_rows_make_short_parts_and_endless_lines_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "CHUNK_BYTES", 30)
    (bench.input / "a.txt").write_text("수도\n" * 10, "utf-8")
    assert [report.rows for report in bench.run(part_rows=100)] == [5, 5]
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 4)
    assert "line 1 is longer than 4 bytes" in bench.run()[-1].fault


def test_a_text_on_which_the_runner_fails_is_a_bad_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    convert_batch = LocalConverter.convert_batch

    def poisoned(self: LocalConverter, texts: Sequence[str], options: Any = None) -> Any:
        if "독" in texts:
            raise RuntimeFault("the runner failed")
        return convert_batch(self, texts, options)

    monkeypatch.setattr(LocalConverter, "convert_batch", poisoned)
    (bench.input / "a.txt").write_text("수도\n독\n학교\n", "utf-8")
    (report,) = bench.run(on_error="skip")
    assert report.bad == ((2, "the runner failed"),)
    assert (bench.output / report.name).read_text("utf-8") == "首都\n學校\n"


def test_full_disk_and_another_model_are_faults(bench: Bench) -> None:
    (bench.input / "a.txt").write_text("수도\n", "utf-8")
    bench.output.write_text("in the way")
    assert "a-000000.txt: " in bench.run()[0].fault
    bench.output.unlink()
    assert "the others have other" in bench.run(revision="other")[0].fault


def test_sources(tmp_path: Path) -> None:
    for name in ("one/a.txt", "one/sub/b.csv.xz", "one/.hidden/c.txt", "one/d.md", "two/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_sources([tmp_path / "one"], tmp_path / "out")
    assert [(source.part_name(7), source.format, source.packing) for source in found] == [
        ("a-000007.txt", "text", ""),
        ("sub/b-000007.csv.xz", "csv", ".xz"),
    ]
    for inputs, message in (
        (["one/a.txt", "two/a.txt"], "would both become a.txt"),
        (["one/d.md"], "has no known format"),
        (["nowhere"], "no such file"),
    ):
        with pytest.raises(CliError, match=message):
            find_sources([tmp_path / name for name in inputs], tmp_path / "out")
    again = find_sources([tmp_path / "one"], tmp_path / "one" / "sub")
    assert [source.stem for source in again] == ["a"]
    with pytest.raises(CliError, match=r"no files of a known format in .*one, outside of the output"):
        find_sources([tmp_path / "one"], tmp_path)


class Records:
    """Opens the record of one folder again and again."""

    def __init__(self, folder: Path) -> None:
        (folder / "a.txt").write_text("수도\n")
        self.output = folder / "out"
        self.sources = find_sources([folder / "a.txt"], self.output)

    def open(self, *, revision: str = "r1", on_error: str = "skip", restart: bool = False) -> Any:
        return opened(
            self.output, {"revision": revision}, self.sources, Leftovers(), on_error=on_error, restart=restart
        )

    def finish_two_parts(self) -> None:
        with self.open() as ledger:
            for number, bad in enumerate([(), ((5, "why"),)]):
                name = self.sources[0].part_name(number)
                (self.output / name).write_text(name)
                ledger.record(Report(name=name, path="a.txt", rows=4, bad=bad))


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def names(ledger: Ledger) -> list[str]:
    return sorted(ledger.reports)


def test_finished_parts_are_kept_and_what_is_half_written_goes(records: Records) -> None:
    records.finish_two_parts()
    with (records.output / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "a-000002.txt", "pa')  # killed while it wrote
    (records.output / ".a-000002.txt.x1y2.part").write_text("half")
    with records.open() as ledger:
        assert names(ledger) == ["a-000000.txt", "a-000001.txt"] and not ledger.complete
        assert (ledger.rows, ledger.bad_rows) == (8, [("a.txt", 5, "why")])
        ledger.finish()
    assert sorted(os.listdir(records.output)) == [
        "a-000000.txt",
        "a-000001.txt",
        "bad_rows.jsonl",
        "manifest.json",
    ]
    with records.open() as ledger:
        assert ledger.complete and ledger.rows == 8


def test_only_parts_with_bad_rows_are_made_again_for_another_fate(records: Records) -> None:
    records.finish_two_parts()
    with records.open(on_error="null") as ledger:
        assert names(ledger) == ["a-000000.txt"]
    with records.open(on_error="null") as ledger:
        ledger.record(Report(name="a-000001.txt", path="a.txt", rows=4))
        ledger.finish()
    with records.open(on_error="null") as ledger:
        assert ledger.complete and not (records.output / "bad_rows.jsonl").exists()


def test_other_work_is_refused_and_restart_removes_it(records: Records) -> None:
    records.finish_two_parts()
    (records.output / "mine.txt").write_text("not of a run")
    with pytest.raises(CliError, match=r"revision was 'r1', is 'r2'.*--restart"), records.open(revision="r2"):
        pass
    os.utime(records.sources[0].path, ns=(1, 1))
    with pytest.raises(CliError, match="files have changed"), records.open():
        pass
    with records.open(revision="r2", restart=True) as ledger:
        assert ledger.reports == {}
        assert sorted(os.listdir(records.output)) == ["journal.jsonl", "manifest.json", "mine.txt"]


def test_folders_of_others_and_two_at_once(records: Records) -> None:
    with records.open(), pytest.raises(CliError, match="another `hanjaserve bulk` works"), records.open():
        pass
    (records.output / "manifest.json").write_text("{}")
    with pytest.raises(CliError, match="is not of this version"), records.open(restart=True):
        pass
    (records.output / "manifest.json").unlink()
    with pytest.raises(CliError, match="is not empty"), records.open(restart=True):
        pass


# ---- with Ray


def bulk(bundle: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hanjaserve.cli.main", "bulk", *map(str, arguments)],
        env={**os.environ, "HANJASERVE_BUNDLE": str(bundle), "HANJASERVE_RUNNER": "onnxruntime"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def offspring(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from offspring(child)


def workers_of(driver: int) -> list[int]:
    found = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in offspring(driver)}
    return [pid for pid, command in found.items() if b"Map(Worker)" in command]


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of 600 rows; one row of each is bad."""
    folder = tmp_path_factory.mktemp("corpus")
    texts: list[str | None] = [f"대한민국 {number}의 수도와 상수도" for number in range(600)]
    texts[321] = None
    pq.write_table(pa.table({"text": texts}), folder / "a.parquet")
    lines = [json.dumps({"text": text}) for text in texts]
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    (folder / "c.txt").write_bytes(b"".join((text or "").encode() + b"\n" for text in texts) + b"\xff\n")
    return folder


def undisturbed(
    task: Task, sources: Sequence[Source], *_: object, **__: object
) -> Generator[Report, None, None]:
    """All parts in order, in this process and without Ray."""
    converter = PartConverter(task)
    for source in sources:
        yield from map(converter.finish, read_parts(source, task, ()))


@pytest.fixture
def here(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command in this process, as if Ray had done the work."""
    monkeypatch.setattr("hanjaserve.cli.bulk.job.reports", undisturbed)
    monkeypatch.setenv("HANJASERVE_BUNDLE", str(tiny_bundle))
    monkeypatch.setenv("HANJASERVE_RUNNER", "onnxruntime")


@pytest.mark.usefixtures("here")
def test_the_first_bad_row_ends_the_command_and_so_does_a_bad_file(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bulk", str(corpus / "a.parquet"), "-o", str(tmp_path / "out"), "--part-rows", "100"]
    assert main(command) == 4
    assert capsys.readouterr().err == (
        f"hanjaserve bulk: {corpus / 'a.parquet'}: row 322: the text is null (see --on-error)\n"
    )
    assert len(list((tmp_path / "out").glob("a-*"))) == 3
    assert main([*command, "--on-error", "skip"]) == 4
    assert "599 rows" not in (told := capsys.readouterr().out) and "600 rows in 6 parts, 1 bad" in told
    (tmp_path / "b.csv").write_text("id\n1\n")
    assert main(["bulk", str(tmp_path / "b.csv"), "-o", str(tmp_path / "other")]) == 1
    assert "b.csv: it has no column 'text'" in capsys.readouterr().err


def listening(pids: Sequence[int]) -> set[str]:
    """Addresses on which these processes listen, as /proc writes them."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(os.readlink(link))
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_work_goes_on_and_ends_as_if_nothing_had_been(
    tiny_bundle: Path, corpus: Path, tmp_path: Path, here: None
) -> None:
    flags = ("--part-rows", "10", "--on-error", "null", "--workers", "1")
    journal = tmp_path / "killed" / "journal.jsonl"

    def finished() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    driver = bulk(tiny_bundle, corpus, "-o", tmp_path / "killed", *flags)
    wait_for(lambda: finished() >= 5)
    workers = workers_of(driver.pid)
    everybody = list(offspring(driver.pid))
    addresses = listening(everybody)
    assert addresses and addresses <= LOOPBACK
    commands = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in everybody)
    driver.kill()
    driver.communicate()
    for left in set(re.findall(rb"/tmp/ray-\w+", commands)):
        shutil.rmtree(left, ignore_errors=True)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 20)
    at_kill = finished()
    assert workers and at_kill < 181

    driver = bulk(tiny_bundle, corpus, "-o", tmp_path / "killed", *flags)
    wait_for(lambda: finished() >= at_kill + 5)
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    out, err = driver.communicate()
    assert driver.returncode == 4
    bad = (("a.parquet", 322, "null"), ("b.jsonl.gz", 322, "null"), ("c.txt", 601, "not UTF-8"))
    assert err == "".join(f"{corpus / name}: row {row}: the text is {why}\n" for name, row, why in bad)
    assert "1,801 rows in 181 parts, 3 bad" in out and f"{1801 - 10 * at_kill:,} rows now" in out

    assert main(["bulk", str(corpus), "-o", str(tmp_path / "quiet"), *flags]) == 4
    assert contents(tmp_path / "killed") == contents(tmp_path / "quiet")


def test_what_is_wrong_is_one_line(tiny_bundle: Path, corpus: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("--style", "baroque"), "baroque"),
        (("--bundle", tmp_path), str(tmp_path)),
        (("--part-rows", "0"), "no positive number"),
    ):
        process = bulk(tiny_bundle, corpus, "-o", tmp_path / "out", *arguments)
        _, err = process.communicate()
        assert process.returncode in (1, 2) and message in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(tiny_bundle: Path, corpus: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = sys.modules['ray'] = None\n"
        "from hanjaserve.cli.main import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "bulk", str(corpus), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "hanjaserve bulk: pyarrow is not installed: pip install 'hanjaserve[bulk]'\n",
    )
