import pytest
import torch
from syllable_model import READINGS, tiny_model, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.characters import Characters
from hanjaserve.build.model.classifier import _starts
from hanjaserve.build.model.encoder import Neighbours
from hanjaserve.build.model.lexicon import SLOTS, unpack

TEXT = "법원 수도의사 회의수"


@pytest.fixture(scope="module")
def model() -> HanjaTokenClassifier:
    return tiny_model(tiny_tables()).eval()


def tokens(text: str) -> torch.Tensor:
    return torch.tensor([[1, *map(ord, text)]])


def test_slots_of_a_packed_spelling() -> None:
    packed = torch.tensor([3 + 31 * SLOTS + 47 * SLOTS**3], dtype=torch.int32)
    places = unpack(packed).flatten().tolist()
    assert places == [3, 31, 0, 47]


def test_the_dictionary_covers_what_it_should(model: HanjaTokenClassifier) -> None:
    words = model.lexicon(tokens(TEXT))
    covered = words.known[0, :, 0, 0].tolist()
    #                  style 법   원   space  수    도    의    사   space  회    의    수
    assert covered == [False, True, True, False, True, True, True, True, False, True, True, False]
    # 수도 is 首都 or 水道: slots 1 and 2 of either syllable.
    assert words.slot_here()[0, 5, 0, :2].tolist() == [1, 2]


def test_nothing_but_readings_gets_a_score(model: HanjaTokenClassifier) -> None:
    logits, labels = model(tokens(TEXT))
    table = tiny_tables().labels
    for at, char in enumerate(TEXT, 1):
        allowed = {table[label] for label in labels[0, at][logits[0, at] > -5000].tolist()}
        assert allowed == {"", *READINGS.get(char, "")}


def test_a_whole_word_is_raised_by_the_fit_of_its_other_syllable(model: HanjaTokenClassifier) -> None:
    """What is learned about 都 alone must reach 首: the copy score knows the word's mean fit."""
    model.train()  # the syllables' own scores, before words are taken as wholes
    logits, _ = model(tokens("수도"))
    bias = model.candidates.bias.weight
    capital = tiny_tables().labels.index("都")
    with torch.no_grad():
        bias[capital] += 8.0
    raised, _ = model(tokens("수도"))
    with torch.no_grad():
        bias[capital] -= 8.0
    model.eval()
    gain = (raised - logits)[0, 1].tolist()
    assert gain[1] == pytest.approx(model.word_fit.item() * 4.0, rel=1e-3)
    assert gain[2] == pytest.approx(0.0, abs=1e-4)


def test_padding_changes_nothing(model: HanjaTokenClassifier) -> None:
    alone, _ = model(tokens(TEXT))
    padded, _ = model(torch.nn.functional.pad(tokens(TEXT), (0, 5)))
    torch.testing.assert_close(padded[:, : alone.shape[1]], alone, rtol=1e-4, atol=1e-4)


def test_neighbours_are_summed_by_distance() -> None:
    neighbours = Neighbours(1)
    with torch.no_grad():
        # 3, 2, 1 before and 1, 2, 3 after.
        neighbours.weight.copy_(torch.tensor([[1.0], [10.0], [100.0], [1e3], [1e4], [1e5]]))
    hidden = torch.tensor([[[1.0], [2.0], [3.0], [4.0], [5.0]]])
    assert neighbours(hidden)[0, :, 0].tolist() == [432_000, 543_100, 54_210, 5_321, 432]


def test_a_model_that_was_trained_without_neighbours_goes_on_unchanged() -> None:
    hidden = torch.ones(1, 4, 8)
    assert torch.equal(Neighbours(8)(hidden), torch.zeros_like(hidden))


def test_every_syllable_of_a_word_gets_the_same_copy_score(model: HanjaTokenClassifier) -> None:
    text = tokens("회의수도 법원")
    words = model.lexicon(text)
    length, chance = text.shape[1], torch.Generator().manual_seed(1)
    hidden = torch.randn(1, length, model.config.hidden_size, generator=chance)
    fit = torch.randn(1, length, SLOTS, generator=chance)
    with torch.no_grad():
        copy = model._copy_scores(words, hidden, fit, _starts(words))[0, :, 0]
    for first, spellings in ((1, 1), (3, 2), (6, 1)):
        assert torch.equal(copy[first], copy[first + 1])
        assert (copy[first, :spellings] != 0).all()
    assert copy[5].tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        # Slots: KEEP, then 意醫議 and 思師事; the words are 醫師 and 意思.
        ([-9, 0.0, -0.1, -9], [-9, -0.2, 0.0, -9], [2, 2]),  # 意師 is no word: 醫師 costs least
        ([-9, -0.1, 0.0, -9], [-9, 0.0, -0.3, -9], [1, 1]),  # 醫思: 意思
        ([-9, -9, -0.2, 0.0], [-9, -9, 0.0, -9], [2, 2]),  # 議師: the other syllable decides
        ([-0.2, 0.0, -9, -9], [0.0, -9, -9, -9], [0, 0]),  # 意사: Hangul as a whole
        ([-9, 0.0, -9, -9], [0.0, -9, -9, -9], [1, 0]),  # 意사, and sure of it
        ([-9, -9, -9, 0.0], [-9, -9, -9, 0.0], [3, 3]),  # 議事 is not in the dictionary, and sure
    ],
)
def test_words_are_spelt_as_wholes_where_the_model_is_not_sure(
    model: HanjaTokenClassifier, first: list[float], second: list[float], chosen: list[int]
) -> None:
    text = tokens("의사")
    words = model.lexicon(text)
    logits = torch.full((1, 3, SLOTS), -10000.0)
    logits[0, 1, :4], logits[0, 2, :4] = torch.tensor(first) + 3.0, torch.tensor(second) - 5.0
    slots = torch.arange(SLOTS, dtype=torch.int32)
    spelt = ((words.slot_here()[..., None] == slots) & words.known[..., None]).float()
    scores = model._as_wholes(words, spelt, logits, _starts(words))
    assert scores[0, 1:].argmax(-1).tolist() == chosen


def test_where_no_word_is_only_the_zero_of_the_scores_moves(model: HanjaTokenClassifier) -> None:
    text = tokens("회 수")
    words = model.lexicon(text)
    logits = torch.randn(1, text.shape[1], SLOTS, generator=torch.Generator().manual_seed(2))
    spelt = torch.zeros(*words.known.shape, SLOTS)
    scores = model._as_wholes(words, spelt, logits, _starts(words))
    torch.testing.assert_close(torch.softmax(scores, -1), torch.softmax(logits, -1))


def test_syllables_share_what_their_final_consonants_mean() -> None:
    characters = Characters(4, 2)
    row_of = torch.zeros(0x10000, dtype=torch.int32)
    # 갈 and 할 end in ᆯ, 가 in nothing; 각 and 낙 are rare and share a row.
    for syllable, row in (("갈", 1), ("할", 2), ("가", 3)):
        row_of[ord(syllable)] = row
    characters.set_finals(row_of)
    with torch.no_grad():
        characters.weight.zero_()
        characters.finals.copy_(torch.arange(28.0)[:, None].expand(28, 2))
    assert characters(torch.tensor([[0, 1, 2, 3]]))[0, :, 0].tolist() == [0, 8, 8, 0]
