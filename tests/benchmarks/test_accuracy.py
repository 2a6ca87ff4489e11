import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from benchmarks.accuracy.baseline import DictionaryConverter
from benchmarks.accuracy.homographs import Annotated, annotated_words, confusions, share_right
from hanjaserve.build.readings import ReadingTable
from hanjaserve.build.reference_metric import measure, token_labels


@pytest.fixture
def tokenizer() -> Tokenizer:
    vocabulary = {token: number for number, token in enumerate(["[UNK]", "수도", "##는", "물", "##이"])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def test_the_dictionary_takes_the_longest_word_and_its_first_spelling() -> None:
    converter = DictionaryConverter([("수도", "首都"), ("수도", "水道"), ("상수도", "上水道"), ("수", "水")])
    assert converter.convert("상수도와 수도의 수") == "上水道와 首都의 수"


def test_a_token_that_stays_is_unk(tokenizer: Tokenizer) -> None:
    assert token_labels(tokenizer, "수도는 물이", "首都는 물이") == ["首都", "[UNK]", "[UNK]", "[UNK]"]


def test_reference_metric_by_hand(tokenizer: Tokenizer) -> None:
    """One of four tokens is wrong, and the run of three [UNK] is one entity that is still found."""
    found = measure(tokenizer, [("수도는 물이", "首都는 물이")], ["水道는 물이"])
    assert found.accuracy == 0.75
    assert found.f1 == pytest.approx(0.5)


def test_annotations_that_are_no_reading_do_not_count() -> None:
    readings = ReadingTable.from_pairs([("首", "수"), ("都", "도"), ("積", "적"), ("極", "극")])
    sentences = [("수도의 여부", [(0, "首都"), (4, "積極")])]
    words = list(annotated_words(sentences, ["首都의 與否"], readings))
    assert words == [Annotated(sentence=0, hangul="수도", gold="首都", found="首都")]


def test_shares_and_confusions() -> None:
    words = [
        Annotated(sentence=number, hangul="수도", gold=gold, found=found)
        for number, (gold, found) in enumerate(
            [("首都", "首都"), ("首都", "首都"), ("首都", "水道"), ("水道", "首都"), ("水道", "水道")]
        )
    ]
    words.append(Annotated(sentence=5, hangul="회의", gold="會議", found="會議"))
    value, low, high = share_right(words)
    assert value == pytest.approx(4 / 6)
    assert low < value < high
    assert confusions(words, least=2) == [("수도", "首都", 2, 3, "水道"), ("수도", "水道", 1, 2, "首都")]
