"""What a context means decides between spellings, and topics are what each of them is met with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data import vectors as vectors_module
from hanjaserve.build.data.clauses import Clauses
from hanjaserve.build.data.corpus import MOST_SPELLINGS, Sentence, join
from hanjaserve.build.data.distant import Labeller
from hanjaserve.build.data.senses import SHARPNESS, Senses
from hanjaserve.build.data.topics import Topic, make_topics, topical
from hanjaserve.build.data.vectors import Vectors, make_vectors

# 醫院 and 醫術 tell what 醫 is like, 意見 what 意 is; nothing tells 師, 思 and 義.
SPELLINGS = {"의사": ["醫師", "意思", "義士"], "병원": ["病院"], "의술": ["醫術"], "의견": ["意見"]}
MEANINGS = {"병원": (1, 0), "의술": (1, 0), "의견": (0, 1), "표시": (0, 1), "환자": (1, 0), "바다": (0, 0)}
VECTORS = Vectors(
    rows={(form, "NNG"): n for n, form in enumerate(MEANINGS)},
    values=np.array(list(MEANINGS.values()), np.float32),
)


@dataclass(frozen=True)
class Alike:
    """What Kiwi answers."""

    id: int
    form: str
    tag: str
    score: float


class FakeKiwi:
    """Morphemes with known vectors, of which only the cosines are told."""

    def __init__(self, count: int, dimensions: int) -> None:
        chance = np.random.default_rng(1)
        values = chance.normal(size=(count, dimensions)) + 1.0
        self.values = values / np.linalg.norm(values, axis=1, keepdims=True)

    def most_similar_morphemes(self, morpheme: tuple[str, str], top_n: int) -> Sequence[Any]:
        asked = 0 if morpheme[0] == "수도" else int(morpheme[0][1:])
        scores = (self.values @ self.values[asked]).tolist()
        scores[asked] = -1e5
        found = [Alike(n, "수도" if n == 0 else f"w{n}", "NNG", score) for n, score in enumerate(scores)]
        return sorted(found, key=lambda alike: -alike.score)


def test_vectors_have_the_cosines_that_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "ANCHORS", 40)
    kiwi = FakeKiwi(200, 12)
    found = make_vectors(kiwi)
    assert found.values.shape == (200, 12)
    mine = kiwi.values - kiwi.values.mean(axis=0)
    mine /= np.linalg.norm(mine, axis=1, keepdims=True)
    order = [found.rows["수도" if n == 0 else f"w{n}", "NNG"] for n in range(200)]
    cosines = found.values[order] @ found.values[order].T
    np.testing.assert_allclose(cosines, mine @ mine.T, atol=2e-3)


def test_a_context_adds_to_the_sense_that_it_is_like() -> None:
    senses = Senses((), SPELLINGS, VECTORS)
    healing = senses.evidence("의사", [("환자", "NNG"), ("병원", "NNG")])
    meaning = senses.evidence("의사", [("표시", "NNG")])
    assert healing is not None
    assert meaning is not None
    assert healing.tolist() == [0, -2 * SHARPNESS, -2 * SHARPNESS]
    assert meaning.tolist() == [-SHARPNESS, 0, -SHARPNESS]
    assert senses.evidence("의사", [("없는말", "NNG")]) is None
    assert Senses((), SPELLINGS).evidence("의사", [("환자", "NNG")]) is None


def test_partners_in_compounds_are_a_part_of_what_a_sense_is_like() -> None:
    compounds = [(("표시", "表示"), ("의사", "義士"))]
    assert Senses(compounds, SPELLINGS, VECTORS).vectors_of("의사")[2].tolist() == [0, 1]


def test_words_that_nobody_uses_count_only_where_there_is_no_other() -> None:
    spellings = {"의사": ["醫師", "意思"], "의술": ["醫術"], "의견": ["醫見"], "병원": ["病院"]}
    used = Senses((), spellings, VECTORS, in_use={"의술", "병원"})
    assert used.vectors_of("의사")[0].tolist() == [1, 0]
    both = Senses((), spellings, VECTORS).vectors_of("의사")[0]
    assert both.tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_labels_carry_the_evidence_of_their_context_into_the_corpus() -> None:
    text = "병원 의사가 의사"
    morphemes = [
        ("병원", "NNG", 0, 2), ("의사", "NNG", 3, 2), ("가", "JKS", 5, 1), ("의사", "NNG", 7, 2)
    ]  # fmt: skip
    words = {"의사": ["醫師", "意思"]}
    # The word itself, which has a vector, too, is no evidence of its own sense.
    rows = {**VECTORS.rows, ("의사", "NNG"): VECTORS.rows["병원", "NNG"]}
    senses = Senses((), SPELLINGS, Vectors(rows=rows, values=VECTORS.values))
    labels = Labeller(tiny_tables(), words, senses).label(text, morphemes)
    assert [start for start, _ in labels.words] == [3, 7]
    assert labels.evidence[3].tolist() == labels.evidence[7].tolist() == [0, -SHARPNESS, -SHARPNESS]
    plain = Labeller(tiny_tables(), words).label(text, morphemes)
    weights = {"general": {"의사": {"醫師": 1.0, "意思": 0.5}}}
    corpus = join(
        [Sentence(style=1, domain="general", text=text, labels=found) for found in (labels, plain)],
        tiny_tables(),
        weights,
    )
    assert corpus.word_evidence.shape == (4, MOST_SPELLINGS)
    assert corpus.word_evidence[0, :3].tolist() == [0, -SHARPNESS, -SHARPNESS]
    assert not corpus.word_evidence[2:].any()


def test_topics_pair_each_sense_with_nouns_like_it() -> None:
    usage = {"의사": 4e-4, "병원": 1e-4, "의견": 1e-4, "표시": 1e-6, "환자": 1e-6, "없는말": 1e-4}
    weights = {word: {s: 1 / n for n, s in enumerate(found, 1)} for word, found in SPELLINGS.items()}
    found = make_topics(weights, usage, Senses((), SPELLINGS, VECTORS), VECTORS)
    assert [topic.spelling for topic in found] == ["醫師", "意思"]
    assert found[0].weight == pytest.approx(0.02)
    assert found[1].weight == pytest.approx(0.02 / 2**0.5)
    assert {"의사", "없는말"}.isdisjoint(found[0].nouns)


def test_the_most_like_nouns_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanjaserve.build.data.topics.TOPICS", 2)
    usage = dict.fromkeys(("의사", "병원", "의견", "표시", "환자"), 1e-4)
    weights = {word: dict.fromkeys(found, 1.0) for word, found in SPELLINGS.items()}
    found = make_topics(weights, usage, Senses((), SPELLINGS, VECTORS), VECTORS)
    assert [set(topic.nouns) for topic in found] == [{"병원", "환자"}, {"의견", "표시"}]


def test_topics_are_drawn_with_their_word_among_their_nouns() -> None:
    chance = random.Random(1)
    topic = Topic(word="의사", spelling="醫師", nouns=("병원", "환자"), weight=1.0)
    drawn = [topic.draw({"병원": 1.0, "환자": 1.0}, chance) for _ in range(50)]
    assert all(nouns.count("의사") == 1 and 2 <= len(nouns) <= 4 for nouns in drawn)
    assert len(set(map(tuple, drawn))) > 4
    assert len(topical([topic], 7, chance)) == 7
    assert topical([], 7, chance) == []


def test_clauses_about_nouns_have_them_in_order() -> None:
    chance = random.Random(1)
    clauses = Clauses({"회의": 1.0}, ["회의"])
    for _ in range(50):
        morphs = clauses.about(["병원", "의사", "환자"], chance)
        nouns = [form for form, tag in morphs if tag == "NNG"]
        assert nouns[:3] == ["병원", "의사", "환자"]
        assert len(morphs) > 3


def test_a_topical_clause_is_labelled_by_its_topic() -> None:
    pytest.importorskip("kiwipiepy")
    from hanjaserve.build.data.analyst import Analyst
    from hanjaserve.build.data.vocabulary import Vocabulary

    tables = tiny_tables()
    weights = {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}
    analyst = Analyst(Vocabulary(tables=tables, weights={"general": weights, "law": weights}))
    topic = Topic(word="의사", spelling="意思", nouns=("법원",), weight=1.0)
    found = list(analyst.topical([topic] * 30, Clauses({"회의": 1.0}, []), {"법원": 1.0}, random.Random(1)))
    assert len(found) == 30
    for sentence in found:
        at = sentence.text.index("의사")
        expected = [tables.bit("의", "意"), tables.bit("사", "思")]
        assert sentence.labels.masks[at : at + 2].tolist() == expected, sentence.text
        assert sentence.text.index("법원") >= 0
