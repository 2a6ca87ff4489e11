"""No sentence of an evaluation file is trained on; needs the data folder, and skips without it."""

import random
from collections.abc import Iterable, Iterator

import pytest
from syllable_model import tiny_tables  # type: ignore[import-not-found]

from benchmarks.accuracy.golden import read_cases
from hanjaserve.build.data import analyst, prepare
from hanjaserve.build.data.analyst import Analyst
from hanjaserve.build.data.distant import Morpheme
from hanjaserve.build.data.phrases import read_phrases
from hanjaserve.build.data.prepare import Mix, evaluation_keys, key
from hanjaserve.build.data.sources import data_folder
from hanjaserve.build.data.vocabulary import Vocabulary
from hanjaserve.server.errors import BuildError

LONG = 10
"""Syllables."""


@pytest.fixture
def every_training_text(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    try:
        data_folder()
    except BuildError as error:
        pytest.skip(str(error))

    def unanalysed(_: object, texts: Iterable[str]) -> Iterator[tuple[str, list[Morpheme]]]:
        yield from ((text, []) for text in texts)

    # Which texts are taken does not depend on their labels, and those take minutes.
    monkeypatch.setattr(Analyst, "analysed", unanalysed)
    monkeypatch.setattr(analyst, "AROUND_NOTE", 10**6)
    vocabulary = Vocabulary(tables=tiny_tables(), weights={"general": {}, "law": {}})
    mix = Mix(scripture_passes=1, fragments=0.0)
    return (sentence.text for sentence in prepare._sentences(vocabulary, mix, random.Random(1)))


@pytest.mark.timeout(600)
def test_evaluation_text_is_not_trained_on(every_training_text: Iterator[str]) -> None:
    banned = evaluation_keys()
    count = 0
    for text in every_training_text:
        count += 1
        assert key(text) not in banned, text
    assert count > 200_000
    assert len(banned) > 5_000


def test_no_phrase_of_ours_is_a_sentence_that_measures_senses() -> None:
    measured = {key(case.sentence) for case in read_cases()}
    assert len(measured) > 100
    for phrase in read_phrases():
        text = key(phrase.text)
        # Short phrases, such as a noun before its verb, may stand in any sentence.
        assert not any(len(text) >= LONG and (text in other or other in text) for other in measured), text
