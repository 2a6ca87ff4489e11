"""Phrases of our own: their format, what they tell of senses, and that the shipped ones keep the rules."""

import random

import pytest
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.distant import context_of
from hanjaserve.build.data.phrases import companions_of, parse_phrases, read_phrases, spellings_in
from hanjaserve.build.data.senses import COMPANY, MOST_COMPANIONS, Senses
from hanjaserve.build.data.vectors import Morph
from hanjaserve.build.data.vocabulary import Vocabulary
from hanjaserve.models import default_bundle_path
from hanjaserve.server.errors import BuildError
from hanjaserve.server.readings import is_hanja, is_syllable

LINES = ["# senses", "", "의사\t醫師\t병원 ~|~가 환자를 보다", "의사\t意思\t~ 표시"]
HOSPITAL, PATIENT, TELLING = ("병원", "NNG"), ("환자", "NNG"), ("표시", "NNG")


def test_lines_become_phrases_in_their_order() -> None:
    found = parse_phrases(LINES)
    assert [phrase.text for phrase in found] == ["병원 의사", "의사가 환자를 보다", "의사 표시"]
    assert [len(phrase.before) for phrase in found] == [3, 0, 0]
    assert spellings_in(found) == {"의사": ("醫師", "意思")}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("의사\t醫師", "line 2: '의사\\\\t醫師' is not word"),
        ("의사\t醫\t병원 ~", "line 2: .* is not word"),
        ("의사\t醫師\t병원 의사", "line 2: '병원 의사' needs one ~"),
        ("의사\t醫師\t~와 ~", "needs one ~ for 의사"),
    ],
)
def test_a_bad_line_is_an_error_with_its_number(line: str, what: str) -> None:
    with pytest.raises(BuildError, match=what):
        parse_phrases([LINES[0], line])


def test_companions_are_those_of_one_sense_alone() -> None:
    phrases = parse_phrases(LINES)
    both: Morph = ("사람", "NNG")
    seen = zip(phrases, [[HOSPITAL, both], [PATIENT], [TELLING, both]], strict=True)
    # Of many words, so that none of these is common.
    others = [(parse_phrases([f"낱말{n}\t單語{n}\t~"])[0], [("n", str(n))]) for n in range(200)]
    found = companions_of([*seen, *others])["의사"]
    assert found == {"醫師": frozenset({HOSPITAL, PATIENT}), "意思": frozenset({TELLING})}


def test_what_stands_with_many_words_tells_nothing_but_a_suffix_does() -> None:
    everywhere, suffix = ("있", "VA"), ("", "XSV")
    phrases = [parse_phrases([f"낱{n}\t單{n}\t~"])[0] for n in range(10)]
    found = companions_of([(phrase, [everywhere, suffix]) for phrase in phrases])
    assert found["낱1"]["單1"] == frozenset({suffix})


def test_each_companion_makes_its_sense_likelier_up_to_a_limit() -> None:
    companions = {"의사": {"醫師": frozenset({HOSPITAL, PATIENT, ("약", "NNG")})}}
    senses = Senses((), {"의사": ["意思", "醫師"]}, companions=companions)
    one, many = [
        senses.evidence("의사", context) for context in ([HOSPITAL], [HOSPITAL, PATIENT, ("약", "NNG")])
    ]
    assert one is not None
    assert many is not None
    assert one.tolist() == [-COMPANY, 0]
    assert many.tolist() == [-COMPANY * MOST_COMPANIONS, 0]
    assert senses.evidence("의사", [("바다", "NNG")]) is None
    assert senses.evidence("수도", [HOSPITAL]) is None


def test_a_context_has_what_surrounds_a_word_and_what_it_is_a_stem_for() -> None:
    morphemes = [
        ("뜻", "NNG", 0, 1), ("을", "JKO", 1, 1), ("이해", "NNG", 3, 2), ("하", "XSV", 5, 1),
    ]  # fmt: skip
    assert context_of(morphemes, 2) == [("뜻", "NNG"), ("", "XSV")]
    assert context_of(morphemes, 0) == [("이해", "NNG")]


def test_the_shipped_phrases_keep_the_rules() -> None:
    lines = (default_bundle_path() / "readings.tsv").read_text("utf-8").splitlines()
    readings = dict(line.split("\t") for line in lines)
    phrases = read_phrases()
    assert len(spellings_in(phrases)) > 300
    for phrase in phrases:
        assert not any(map(is_hanja, phrase.text)), phrase
        assert all(map(is_syllable, phrase.word)), phrase
        for syllable, hanja in zip(phrase.word, phrase.spelling, strict=True):
            assert hanja == syllable or hanja in readings.get(syllable, ""), phrase
    assert len(set(phrases)) == len(phrases)


def test_sentences_of_phrases_have_the_spelling_of_their_sense() -> None:
    pytest.importorskip("kiwipiepy")
    general = {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}
    tables = tiny_tables()
    analyst = Analyst(Vocabulary(tables=tables, weights={"general": general, "law": general}))
    phrases = parse_phrases(["수도\t水道\t~를 틀다|~ 공사", "수도\t首都\t나라의 ~"])
    for sentence in analyst.phrases(phrases, 40, random.Random(1)):
        spelling = "首都" if "나라" in sentence.text else "水道"
        bits = [tables.bit(syllable, hanja) for syllable, hanja in zip("수도", spelling, strict=True)]
        starts = [at for at in range(len(sentence.text)) if sentence.text.startswith("수도", at)]
        assert starts
        for at in starts:
            assert sentence.labels.masks[at : at + 2].tolist() == bits
        assert sentence.labels.words == []
