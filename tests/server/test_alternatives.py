"""Other spellings of a word, and the word's own score."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.alternatives import Alternative, Chosen, alternatives_of, chosen_word
from hanjaserve.server.codec.base import Decoded
from hanjaserve.server.labels import LabelTable
from hanjaserve.server.options import Options
from hanjaserve.server.spans import spans_from
from hanjaserve.server.words import Words

SPELLING = ("", "醫", "意", "義", "師", "思", "士")
WORDS = Words(words=frozenset({"醫師", "意思", "義士"}))


def decoded(labels: list[list[int]], scores: list[list[float]]) -> Decoded:
    units = len(labels)
    return Decoded(
        start=np.arange(units),
        end=np.arange(1, units + 1),
        labels=np.array(labels, np.int32),
        scores=np.array(scores, np.float32),
    )


DOCTOR = decoded([[1, 2, 3, 0], [4, 5, 6, 0]], [[0.9, 0.05, 0.02, 0.03], [0.8, 0.15, 0.03, 0.02]])


def others(words: frozenset[str], limit: int = 8) -> list[tuple[str, float]]:
    chosen = chosen_word(DOCTOR, SPELLING, 0, 2, 0.8)
    return [(a.hanja, pytest.approx(a.score, abs=1e-6)) for a in alternatives_of(chosen, words, limit)]  # type: ignore[misc]


def test_alternatives_of_a_dictionary_word_are_dictionary_words() -> None:
    assert others(WORDS.words) == [("意思", 0.05), ("義士", 0.02)]
    assert others(WORDS.words, limit=1) == [("意思", 0.05)]


def test_a_dictionary_word_without_others_has_none() -> None:
    assert others(frozenset({"醫師"})) == []


def test_what_no_dictionary_has_is_offered_other_combinations() -> None:
    found = alternatives_of(chosen_word(DOCTOR, SPELLING, 0, 2, 0.8), frozenset(), 8)
    assert [a.hanja for a in found[:3]] == ["醫思", "意師", "醫士"]
    assert len(found) == 8
    # One swap of 師 costs 0.8 / 0.15, one of 醫 0.9 / 0.05; all of them share what the word leaves.
    assert found[0].score / found[1].score == pytest.approx(0.15 / (0.8 * 0.05 / 0.9))
    assert sum(a.score for a in found) == pytest.approx(0.2)


def test_a_long_run_without_a_dictionary_costs_no_more_than_its_best_swaps() -> None:
    units = 2_000
    long = decoded([[1, 2, 3, 4]] * units, [[0.4, 0.3, 0.2, 0.1]] * units)
    found = alternatives_of(chosen_word(long, SPELLING, 0, units, 0.4), frozenset(), 8)
    assert len(found) == 8
    assert [a.score for a in found] == [pytest.approx(0.6 / 8)] * 8
    assert all(len(other.hanja) == units for other in found)


def test_three_swaps_may_be_better_than_one() -> None:
    close = decoded([[1, 2], [1, 2], [1, 2], [1, 2]], [[0.5, 0.49], [0.5, 0.49], [0.5, 0.49], [0.9, 0.01]])
    found = alternatives_of(chosen_word(close, SPELLING, 0, 4, 0.5), frozenset(), 7)
    assert found[-1].hanja == "意意意醫"


@given(
    st.lists(st.lists(st.floats(0.01, 1), min_size=2, max_size=4), min_size=1, max_size=6),
    st.booleans(),
    st.integers(1, 8),
)
def test_a_word_and_its_alternatives_have_no_more_than_all(
    weights: list[list[float]], known: bool, limit: int
) -> None:
    units = [
        [(hanja, p / sum(unit)) for hanja, p in zip("醫意義師", sorted(unit, reverse=True), strict=False)]
        for unit in weights
    ]
    score = min(unit[0][1] for unit in units)
    chosen = Chosen(hanja="".join(unit[0][0] for unit in units), units=units, score=score)
    words = {"".join(parts) for parts in product("醫意義師", repeat=len(units))} if known else set()
    found = alternatives_of(chosen, words, limit)
    assert score + sum(a.score for a in found) <= 1 + 1e-9
    assert [a.score for a in found] == sorted((a.score for a in found), reverse=True)
    # How probable they are does not depend on how many are asked for.
    assert found == alternatives_of(chosen, words, 8)[:limit]


def test_a_single_syllable_is_offered_its_other_candidates() -> None:
    chosen = chosen_word(DOCTOR, SPELLING, 0, 1, 0.9)
    found = alternatives_of(chosen, WORDS.words, 8)
    assert [a.hanja for a in found] == ["意", "義"]
    assert [a.score for a in found] == [pytest.approx(0.05), pytest.approx(0.02)]


def test_a_long_word_is_looked_up_within_bounds() -> None:
    """6 units of 4 candidates have 4,096 combinations; 64 of them are tried."""
    long = decoded([[1, 2, 3, 4]] * 6, [[0.4, 0.3, 0.2, 0.1]] * 6)
    chosen = chosen_word(long, SPELLING, 0, 6, 0.4)
    assert alternatives_of(chosen, {"意" * 6, "義" * 6}, 8) == (
        Alternative(hanja="意" * 6, score=pytest.approx(0.3)),
    )


def test_a_word_is_as_probable_as_its_least_probable_syllable() -> None:
    labels = LabelTable(labels=SPELLING)
    (span,) = spans_from(DOCTOR, "의사", labels, Options(with_spans=True, max_alternatives=2), words=WORDS)
    assert (span.hanja, span.score) == ("醫師", pytest.approx(0.8))
    assert [a.hanja for a in span.alternatives] == ["意思", "義士"]
    assert span.score + sum(a.score for a in span.alternatives) <= 1
    sure = Options(with_spans=True, min_score=0.85)
    assert list(spans_from(DOCTOR, "의사", labels, sure, words=WORDS)) == []
