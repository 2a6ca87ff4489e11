import json
import random
from pathlib import Path

from benchmarks.live import add_run, soak
from benchmarks.typists import keys_of, steps_of
from tests.e2e.process import ServerProcess


def test_keys_type_the_text() -> None:
    text = "대한민국의 수도는 서울이다.\n그 값은 3.1이다. " * 5
    document, at = "", 0.0
    for key in keys_of(text, random.Random(1)):
        splice = key.splice
        assert 0 <= splice.start <= splice.end <= len(document)
        document = document[: splice.start] + splice.text + document[splice.end :]
        at += key.after_s
    assert document == text
    assert 0.08 < at / len(text) < 1.5
    assert [steps_of(char) for char in "한수a "] == [["ㅎ", "하", "한"], ["ㅅ", "수"], ["a"], [" "]]


async def test_a_short_soak_loses_nothing(tiny_bundle: Path) -> None:
    with ServerProcess(tiny_bundle) as server:
        record = await soak(server.address, ["대한민국의 수도. 학교는 ", "상수도!"], sessions=20, seconds=3)
    summary = record.summary()
    assert (record.lost, record.wrong, record.errors) == (0, 0, {}), summary
    assert record.keys > 100
    assert len(record.latencies_s) == record.keys


def test_runs_are_kept_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    add_run(path, {"sessions": 1})
    add_run(path, {"sessions": 2})
    found = json.loads(path.read_text("utf-8"))
    assert found == {"kind": "live", "runs": [{"sessions": 1}, {"sessions": 2}]}
