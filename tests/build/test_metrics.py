"""Metrics against values worked out by hand."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.build.metrics import (
    MISALIGNED,
    Counts,
    align,
    bootstrap,
    bootstrap_calibration,
    calibration_error,
    count,
    ratios,
    runs,
    totals,
)

HANGUL = "대한민국의 수도는 서울이다"
GOLD = "大韓民國의 首都는 서울이다"


@dataclass(frozen=True)
class Span:
    start: int
    end: int
    hanja: str
    score: float = 1.0


def test_the_example_of_the_docstring() -> None:
    counts = count(HANGUL, GOLD, "大韓民國의 水道는 서울이다")
    assert counts == Counts(
        syllables=12,
        syllables_right=10,
        converted=6,
        gold=6,
        converted_right=4,
        words=2,
        words_right=1,
        exact=0,
    )
    assert ratios(counts) == pytest.approx(
        {
            "syllable_accuracy": 10 / 12,
            "hanja_precision": 4 / 6,
            "hanja_recall": 4 / 6,
            "hanja_f1": 4 / 6,
            "word_accuracy": 1 / 2,
            "exact_sentences": 0.0,
        }
    )


def test_too_little_and_too_much_conversion() -> None:
    missed = count("수도 우리", "首都 우리", "수도 우리")
    assert (missed.converted, missed.gold, missed.converted_right) == (0, 2, 0)
    assert math.isnan(ratios(missed)["hanja_precision"])
    assert ratios(missed)["hanja_recall"] == ratios(missed)["hanja_f1"] == 0
    beyond = count("수도 우리", "首都 우리", "首都 牛리")
    found = ratios(beyond)
    # 4 syllables, one wrong; 3 converted of which 2 are right; the gold word is whole.
    assert found["syllable_accuracy"] == 3 / 4
    assert found["hanja_precision"] == pytest.approx(2 / 3)
    assert found["hanja_recall"] == found["word_accuracy"] == 1
    assert found["hanja_f1"] == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert found["exact_sentences"] == 0


def test_a_word_is_right_only_as_a_whole() -> None:
    assert count("의사", "醫師", "義師").words_right == 0
    assert count("의사", "醫師", "義師").converted_right == 1


def test_reading_violations() -> None:
    readings = {"수": "水首數", "도": "都道"}
    assert count("수도", "首都", "首都", readings=readings).reading_violations == 0
    assert count("수도", "首都", "機都", readings=readings).reading_violations == 1
    assert count("수도가", "首都가", "首都x", readings=readings).reading_violations == 1
    assert count("수도", "首都", "機械").reading_violations == 0


def test_runs() -> None:
    assert runs("대한민국의 수도", "大韓民國의 首都") == [(0, 4), (6, 8)]
    assert runs("우리", "우리") == []
    assert runs("", "") == []


def test_align_rebuilds_what_changed_its_length() -> None:
    assert align("수도는", "首都는", []) == "首都는"
    spans = [Span(0, 2, "首都"), Span(4, 6, "一")]
    assert align("수도 3하나!", "首都 3一!", spans) == "首都 3" + MISALIGNED * 2 + "!"
    changed = count("하나", "하나", align("하나", "一", [Span(0, 2, "一")]), length_changed=True)
    assert (changed.length_changes, changed.exact, changed.syllables_right) == (1, 0, 0)


def test_totals_add_up() -> None:
    corpus = [count("수도", "首都", "首都"), count("수도 물", "首都 물", "水道 물")]
    sums = totals(corpus)
    assert (sums.sentences, sums.exact, sums.syllables, sums.words_right) == (2, 1, 5, 1)
    assert ratios(sums)["exact_sentences"] == 0.5


def test_calibration_error() -> None:
    # Ten spans, ten bins: |1 - 0.9| where right, |0 - 0.9| where wrong.
    assert calibration_error([0.9] * 10, [True] * 9 + [False]) == pytest.approx((9 * 0.1 + 0.9) / 10)
    # Twenty spans, two per bin: in each bin one right of two, scores 0.5: perfectly calibrated.
    assert calibration_error([0.5] * 20, [True, False] * 10) == pytest.approx(0)
    # Sorted by score first: the sure half is right, the unsure half wrong.
    assert calibration_error([1.0, 0.0] * 10, [True, False] * 10) == 0
    assert calibration_error([1.0, 0.0] * 10, [False, True] * 10) == 1
    assert calibration_error([0.7], [True]) == pytest.approx(0.3)
    assert math.isnan(calibration_error([], []))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_weighted_calibration_of_ones_is_unweighted(spans: list[tuple[float, bool]]) -> None:
    scores, right = [score for score, _ in spans], [hit for _, hit in spans]
    ones = np.ones(len(spans))
    assert calibration_error(scores, right, ones) == calibration_error(scores, right)
    assert 0 <= calibration_error(scores, right) <= 1


def test_bootstrap_holds_the_value_and_repeats() -> None:
    corpus = [count("수도", "首都", "首都")] * 80 + [count("수도", "首都", "水道")] * 20
    found = bootstrap(corpus, resamples=300)
    exact = found["exact_sentences"]
    assert exact.value == 0.8
    # The standard error of a share of 0.8 over 100 sentences is 0.04.
    assert exact.low == pytest.approx(0.72, abs=0.02)
    assert exact.high == pytest.approx(0.88, abs=0.02)
    assert found == bootstrap(corpus, resamples=300)
    assert found != bootstrap(corpus, resamples=300, seed=1)


def test_bootstrap_of_one_sentence_has_no_width() -> None:
    found = bootstrap([count("수도", "首都", "首都")], resamples=10)["hanja_f1"]
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_bootstrap_without_anything_to_measure() -> None:
    found = bootstrap([count("물", "물", "물")], resamples=10)
    assert math.isnan(found["word_accuracy"].value) and math.isnan(found["word_accuracy"].low)
    nothing = bootstrap_calibration([], [], [], resamples=3)
    assert math.isnan(nothing.value) and math.isnan(nothing.high)


def test_bootstrap_of_the_calibration() -> None:
    sentences = [n // 2 for n in range(200)]
    right = [n % 5 != 0 for n in range(200)]
    found = bootstrap_calibration(sentences, [0.9] * 200, right, resamples=100)
    assert found.value == pytest.approx(0.1, abs=0.001)
    assert found.low < found.high
