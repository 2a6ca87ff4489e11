"""Artificial contexts of words."""

import random
from collections import Counter

import pytest
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.prepare import Mix, _drawn
from hanjaserve.build.data.vocabulary import Vocabulary


def test_frequent_words_are_drawn_more_often_and_foreign_ones_too() -> None:
    words = ["수도", "의사", "회의", "법원"]
    nouns = {"수도": 9.0, "의사": 1.0, "토큰": 4.0, "메뉴": 1.0}
    mix = Mix(words=3, frequent=4_000, foreign=3_000)
    drawn = _drawn(words, nouns, mix, random.Random(1))
    assert len(drawn) == 7_003
    found = Counter(drawn[3:])
    assert found.keys() == nouns.keys()
    # By the square root of the frequency: 3 to 1, and 2 to 1.
    assert found["수도"] == pytest.approx(3_000, rel=0.05)
    assert found["토큰"] == pytest.approx(2_000, rel=0.05)


def test_only_what_is_a_noun_by_itself_counts_as_one() -> None:
    pytest.importorskip("kiwipiepy")
    analyst = Analyst(Vocabulary(tables=tiny_tables(), weights={"general": {}, "law": {}}))
    usage = {"수도": 0.5, "메뉴": 0.25, "먹다": 0.1, "수도가": 0.1, "책": 0.2, "ab": 0.3}
    assert analyst.nouns(usage) == {"수도": 0.5, "메뉴": 0.25}


def test_a_word_in_context_is_labelled_and_a_foreign_one_kept() -> None:
    pytest.importorskip("kiwipiepy")
    general = {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}
    analyst = Analyst(Vocabulary(tables=tiny_tables(), weights={"general": general, "law": general}))
    for seed in range(20):
        found = analyst.in_context("메뉴", "수도", random.Random(seed))
        at = found.text.rindex("메뉴")
        assert found.labels.masks[at : at + 2].tolist() == [1, 1]
        assert [word for _, word in found.labels.words] == ["수도"] * found.text.count("수도")
