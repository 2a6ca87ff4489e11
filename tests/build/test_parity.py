from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hanjaserve.build.parity import TOLERANCES, ArtefactReport, Difference, ParityReport
from hanjaserve.server.errors import ParityError

DIFFERENCE = Difference(sentence="수도가 얼었다", expected="水道가 얼었다", got="首都가 얼었다", margin=0.25)
GOOD = ArtefactReport(
    artefact="onnx fp32",
    precision="fp32",
    sentences=1000,
    units=50_000,
    differing=2,
    largest_margin=4e-4,
    largest_score_error=2e-5,
    tolerance=TOLERANCES["fp32"],
    first_difference=replace(DIFFERENCE, margin=4e-4),
)
WIDE = replace(GOOD, differing=1, largest_margin=0.25, first_difference=DIFFERENCE)
OFTEN = replace(GOOD, differing=6)


def report(*artefacts: ArtefactReport) -> ParityReport:
    return ParityReport(bundle="tiny 0123", reference="pytorch", artefacts=artefacts)


def test_near_ties_within_both_bounds_pass() -> None:
    assert GOOD.passed
    report(GOOD).require()


@pytest.mark.parametrize("bad", [WIDE, OFTEN, replace(GOOD, largest_margin=1e-3)])
def test_either_bound_fails(bad: ArtefactReport) -> None:
    assert not bad.passed
    with pytest.raises(ParityError):
        report(GOOD, bad).require()


def test_error_names_sentence_outputs_and_margin() -> None:
    with pytest.raises(ParityError) as caught:
        report(WIDE).require()
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "수도가 얼었다",
        "水道가 얼었다",
        "首都가 얼었다",
        "margin 2.50e-01",
        "1 of 50,000",
    ):
        assert part in message


def test_one_near_tie_among_few_units_passes() -> None:
    few = replace(GOOD, units=300, differing=1, largest_margin=1e-6)
    assert few.passed
    assert not replace(few, differing=2).passed
    assert not replace(few, largest_margin=1e-3).passed


def test_nothing_to_compare_is_no_failure() -> None:
    empty = replace(GOOD, units=0, differing=0, largest_margin=0.0, first_difference=None)
    assert empty.passed


def test_json_holds_what_the_table_shows() -> None:
    rows = json.loads(report(GOOD, WIDE).to_json())["artefacts"]
    assert [row["passed"] for row in rows] == [True, False]
    assert rows[0]["agreement"] == pytest.approx(0.99996)
    table = report(GOOD, WIDE).table()
    assert "99.9960 %" in table and "FAILED" in table
    assert len(table.splitlines()) == 4
