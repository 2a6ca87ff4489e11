"""The driver of `make bench`, on a bundle that computes nothing much."""

import json
from pathlib import Path

import pytest

from benchmarks import bench, goals, performance
from benchmarks.arguments import positive, rounds
from benchmarks.floods import KINDS, flooding
from tests.e2e.process import ServerProcess


def test_a_run_measures_all_that_the_page_shows(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUICK", "1")
    monkeypatch.setenv("HANJASERVE_DATA", str(tmp_path))  # made-up texts, wherever it runs
    monkeypatch.setattr(bench, "WARM_S", 0.1)
    path = tmp_path / "result.json"
    assert bench.main(["--bundle", str(tiny_bundle), "--seconds", "0.3", "--out", str(path)]) == 0
    result = json.loads(path.read_text("utf-8")) | {"file": path.name}
    assert all(row["texts"] > 0 and not row["errors"] for row in result["best"])
    assert len(result["sweep"]) == len(bench.QUICK_SHARES)
    assert [row["name"].partition(",")[0] for row in result["other_sweeps"]] == (
        [f"batches of {bench.BATCH}"] * len(bench.OTHER_SHARES) + ["stream"] * len(bench.OTHER_SHARES)
    )
    assert [row["name"].split()[-1] for row in result["beside_floods"]] == list(KINDS)
    for block in ("machine", "best", "cost", "sweep", "other-sweeps", "beside", "floods"):
        assert len(list(performance.BLOCKS[block]({"serving": result}))) >= 3, block
    measured = [row[0] for row in goals.rows({"serving": result}) if row[2] != "not measured"]
    assert len(measured) >= 4


@pytest.mark.parametrize("kind, end", [("tiny", "OK"), ("expired", "DEADLINE_EXCEEDED")])
async def test_a_flood_is_one(tiny_bundle: Path, kind: str, end: str) -> None:
    with ServerProcess(tiny_bundle) as server:
        async with flooding(server.address, kind, 0.5) as ends:
            assert ends == {}
    assert ends[end] >= 50, ends


def test_a_bundle_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--bundle", str(tmp_path)]) == 2
    assert f"no bundle in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--seconds", "0"], ["--seconds", "soon"], ["--unknown"]])
def test_what_it_cannot_take(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(flags)
    assert flags[-1] in capsys.readouterr().err


@pytest.mark.parametrize("read, text", [(positive, "nan"), (positive, "-1"), (rounds, "0"), (rounds, "1.5")])
def test_values_out_of_range(read, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Exception, match=f"{text} is not a"):
        read(text)
