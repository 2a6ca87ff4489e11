"""Clauses of nouns, verbs and endings."""

import random

import pytest
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.clauses import LOOKALIKE_SHARE, Clauses
from hanjaserve.build.data.distant import KEEP
from hanjaserve.build.data.vocabulary import Vocabulary


def test_clauses_have_what_looks_sino_korean_and_is_kept_and_what_is_not() -> None:
    pytest.importorskip("kiwipiepy")
    weights = {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}
    vocabulary = Vocabulary(tables=tiny_tables(), weights={"general": weights, "law": weights})
    clauses = Clauses({"수도": 2.0, "법원": 1.0}, ["회의"])
    found = list(Analyst(vocabulary).clauses(clauses, 400, random.Random(1)))
    assert len({sentence.text for sentence in found}) > 200
    kept = nouns = 0
    for sentence in found:
        words = dict(sentence.labels.words)
        for at in range(len(sentence.text) - 1):
            if sentence.text.startswith(("ᆯ 수도 ", " 수도 "), at):
                start = at + sentence.text[at:].index("수")
                assert sentence.labels.masks[start : start + 2].tolist() == [KEEP, KEEP], sentence.text
                kept += 1
            if words.get(at) == "수도":
                assert sentence.text[at + 2] in "의를가는에로도다이 ", sentence.text
                nouns += 1
    assert kept > 20
    assert nouns > 100


def test_nouns_are_drawn_by_their_weights() -> None:
    drawn = nouns_of(Clauses({"회의": 3.0, "법원": 1.0}, []))
    assert drawn.count("회의") / len(drawn) == pytest.approx(0.75, abs=0.03)


def test_nouns_that_look_like_endings_are_drawn_however_rare_they_are() -> None:
    drawn = nouns_of(Clauses({"회의": 1.0, "법원": 1.0, "수도": 1e-6, "지도": 1e-6}, []))
    for noun in ("수도", "지도"):
        assert drawn.count(noun) / len(drawn) == pytest.approx(LOOKALIKE_SHARE / 2, abs=0.02)


def nouns_of(clauses: Clauses) -> list[str]:
    chance = random.Random(1)
    return [form for _ in range(3_000) for form, tag in clauses.draw(chance) if tag == "NNG"]
