"""What compounds tell about the senses of their parts."""

import random

import pytest
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.compounds import split_compounds
from hanjaserve.build.data.distant import KEEP, Labeller
from hanjaserve.build.data.senses import Senses
from hanjaserve.build.data.vocabulary import Vocabulary

SPELLINGS = {
    "교통": ["交通"],
    "사고": ["思考", "事故"],
    "논리적": ["論理的"],
    "방식": ["方式"],
    "회의": ["會議"],
}
ENTRIES = [
    ("교통 사고", "交通事故"),
    ("논리적 사고", "論理的思考"),
    ("사고방식", "思考方式"),
    ("회의", "會議"),
]


def test_compounds_are_split_into_words_that_the_dictionary_spells_so() -> None:
    assert split_compounds(ENTRIES, SPELLINGS) == [
        (("교통", "交通"), ("사고", "事故")),
        (("논리적", "論理的"), ("사고", "思考")),
        (("사고", "思考"), ("방식", "方式")),
    ]


@pytest.mark.parametrize(
    "entry",
    [("교통 사고", "交通史庫"), ("교통 지도", "交通地圖"), ("교통사고", "交通事"), ("교통", "交通")],
)
def test_what_does_not_consist_of_known_words_is_no_compound(entry: tuple[str, str]) -> None:
    assert split_compounds([entry], SPELLINGS) == []


def test_a_sense_is_told_only_where_one_spelling_fits() -> None:
    senses = Senses(split_compounds(ENTRIES, SPELLINGS))
    assert senses.of("사고", ["고속도로", "교통"]) == "事故"
    assert senses.of("사고", ["방식"]) == "思考"
    assert senses.of("사고", ["교통", "방식"]) is None
    assert senses.of("사고", ["바다"]) is None
    assert senses.of("회의", ["교통"]) is None
    # The analyser parts 논리적 into 논리 and 적.
    assert senses.of("사고", ["논리"]) == "思考"


def test_an_ambiguous_word_beside_its_partner_is_labelled_by_it() -> None:
    senses = Senses([(("법원", "法院"), ("의사", "意思"))])
    labeller = Labeller(tiny_tables(), WORDS, senses)
    text = "법원의 의사"
    morphemes = [("법원", "NNG", 0, 2), ("의", "JKG", 2, 1), ("의사", "NNG", 4, 2)]
    found = labeller.label(text, morphemes)
    assert found.words == []
    assert found.masks[4:].tolist() == [tiny_tables().bit("의", "意"), tiny_tables().bit("사", "思")]
    # Three nouns away, it tells nothing.
    far = labeller.label("법원 회의 회의 의사", [
        ("법원", "NNG", 0, 2), ("회의", "NNG", 3, 2), ("회의", "NNG", 6, 2), ("의사", "NNG", 9, 2)
    ])  # fmt: skip
    assert far.words == [(9, "의사")]


def test_a_compound_in_context_has_the_labels_of_its_parts_and_keeps_the_rest() -> None:
    pytest.importorskip("kiwipiepy")
    compound = (("법원", "法院"), ("의사", "意思"))
    weights = {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}
    analyst = Analyst(
        Vocabulary(
            tables=tiny_tables(), weights={"general": weights, "law": weights}, compounds=[compound]
        )
    )
    texts = set()
    for seed in range(40):
        found = analyst.compound(compound, random.Random(seed))
        texts.add(found.text)
        expected = [int(KEEP)] * len(found.text)
        for word, spelling in compound:
            start = found.text.rindex(word)
            expected[start : start + 2] = map(tiny_tables().bit, word, spelling)
        assert found.labels.masks.tolist() == expected, found.text
    assert len(texts) > 20
