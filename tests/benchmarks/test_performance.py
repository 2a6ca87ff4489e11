import json
from pathlib import Path

import pytest

from benchmarks import goals, performance


def test_page_shows_the_committed_results() -> None:
    page = performance.PAGE.read_text("utf-8")
    assert performance.filled(page, performance.newest(performance.RESULTS)) == page, "run `make performance`"


def test_newest_full_result_of_a_kind_counts(tmp_path: Path) -> None:
    for name, quick in (("a", False), ("b", False), ("c", True)):
        (tmp_path / f"serving-{name}.json").write_text(json.dumps({"kind": "serving", "quick": quick}))
    assert performance.newest(tmp_path)["serving"]["file"] == "serving-b.json"


def test_block_is_written_anew_and_prose_is_left_alone() -> None:
    page = "before\n<!-- begin huggingface -->\nold\n<!-- end huggingface -->\nafter\n"
    result = {"texts_per_s": {"pipeline": 20.0, "default model": 300.0}, "rounds": {"pipeline": [19.0, 21.0]}}
    result["rounds"]["default model"] = [300.0]
    new = performance.filled(page, {"huggingface": result})
    assert "| default model | 300.0 | 300.0 | 15.0 |" in new
    assert new.startswith("before\n<!-- begin huggingface -->\n|") and new.endswith("after\n")
    assert "old" not in new
    assert performance.ABSENT in performance.filled(page, {})


def test_absent_peer_is_shown_with_its_reason() -> None:
    ours = {"title": "hanjaserve", "texts_per_s": 90.0, "rate_per_s": 60.0, "rounds": [{"rate_per_s": 60.0}]}
    slow = {"title": "slow", "texts_per_s": 9.0, "rate_per_s": 0.0, "rounds": [{"rate_per_s": 0.0}]}
    gone = {"title": "gone", "texts_per_s": None, "rate_per_s": None, "rounds": [], "absent": "no wheel"}
    result = {"p99_ms": 50, "peers": {"hanjaserve": ours, "slow": slow, "gone": gone}}
    lines = list(performance.peers(result))
    assert "| gone | absent: no wheel | – | – | – |" in lines
    assert "| slow | 9 | 0 | 0 | – |" in lines


def test_goals_are_read_from_the_results() -> None:
    best = [{"name": "stream", "efficiency": 0.93}, {"name": "64 unary calls in flight", "efficiency": 0.6}]
    beside = {"alone": {"p99_ms": 10.0}, "beside": {"p99_ms": 35.0}}
    sweep = [{"offered_per_s": 70.0, "p50_ms": 10.0, "p99_ms": 25.0}]
    serving = {"best": best, "beside_bulk": beside, "sweep": sweep, "search": {"rate_per_s": 100.0}}
    serving["beside_floods"] = [{"p99_ms": 20.0}, {"p99_ms": 29.0}]
    peers = {name: {"rate_per_s": rate} for name, rate in (("hanjaserve", 90.0), ("a", 20.0), ("b", None))}
    found = {row[0]: row[2:] for row in goals.rows({"serving": serving, "peers": {"peers": peers}})}
    assert found["bulk stream, served / raw runner"] == ["0.93", "yes"]
    assert found["unary at 64 in flight, served / raw runner"] == ["0.60", "**no**"]
    assert found["rate at p99 ≤ 50 ms, ours / the best peer's"] == ["4.50", "yes"]
    assert found["p99 / p50 at 70 % of the highest rate"] == ["2.50", "yes"]
    assert found["p99 of interactive calls beside a bulk stream / alone"] == ["3.50", "**no**"]
    assert found["p99 of a caller's calls beside another's worst flood / alone"] == ["2.90", "yes"]
    assert found["memory growth over a million requests, MiB"] == ["not measured", "–"]


def test_every_block_is_on_the_page_and_filled() -> None:
    page = performance.PAGE.read_text("utf-8")
    for name in performance.BLOCKS:
        assert f"<!-- begin {name} -->\n" in page
        assert f"<!-- begin {name} -->\n<!-- end" not in page


def test_unknown_block_is_refused() -> None:
    with pytest.raises(LookupError, match="'non-sense'"):
        performance.filled("<!-- begin non-sense -->\n<!-- end non-sense -->\n", {})
