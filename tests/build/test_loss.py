import math

import numpy as np
import pytest
import torch
from syllable_model import WORDS, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.batches import DECIDED, Batch, collate, orders
from hanjaserve.build.data.corpus import Corpus, Sentence, join
from hanjaserve.build.data.distant import Labels
from hanjaserve.build.loss import loss_of
from hanjaserve.build.model.lexicon import SLOTS

WEIGHTS = {
    "general": {word: {hanja: 1 / n for n, hanja in enumerate(found, 1)} for word, found in WORDS.items()}
}


def sentence(text: str, masks: list[int], *words: tuple[int, str]) -> Sentence:
    labels = Labels(masks=np.array(masks, np.uint64), words=list(words))
    return Sentence(style=1, domain="general", text=text, labels=labels)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    sentences = [
        sentence("법원", [0b10, 0]),
        sentence("그 수도는", [1, 1, 0, 0, 1], (2, "수도")),
        sentence("의사와 수도", [0, 0, 1, 1, 0, 0], (0, "의사"), (4, "수도")),
    ]
    return join(sentences, tiny_tables(), WEIGHTS)


def probabilities(batch: Batch, seed: int) -> torch.Tensor:
    shape = (*batch.tokens.shape, SLOTS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_collate_pads_and_places_the_words(corpus: Corpus) -> None:
    batch = collate(corpus, np.array([1, 0, 2]))
    assert batch.tokens.shape == (3, 7)
    assert batch.tokens[1].tolist() == [1, ord("법"), ord("원"), 0, 0, 0, 0]
    assert batch.masks[0].tolist() == [0, 1, 1, 0, 0, 1, 0]
    assert batch.word_row.tolist() == [0, 2, 2]
    assert batch.word_place.tolist() == [3, 1, 5]
    assert batch.word_slots[0, :3, :3].tolist() == [[1, 1, -1], [2, 2, -1], [-1, -1, -1]]


def test_the_loss_is_what_the_definition_says(corpus: Corpus) -> None:
    batch = collate(corpus, np.array([0, 1]))
    logits = probabilities(batch, 1)
    p = logits.softmax(-1)
    syllables = [p[0, 1, 1], p[1, 1, 0], p[1, 2, 0], p[1, 5, 0]]
    # Weights 1 and 0.5, to the power DECIDED, of both spellings.
    second = 0.5**DECIDED / (1 + 0.5**DECIDED)
    word = (1 - second) * math.log(p[1, 3, 1] * p[1, 4, 1]) + second * math.log(p[1, 3, 2] * p[1, 4, 2])
    expected = -(sum(map(math.log, syllables)) + word) / 6
    assert loss_of(logits, batch).item() == pytest.approx(expected, rel=1e-5)


def test_spellings_are_not_mixed(corpus: Corpus) -> None:
    """Halves of two spellings cost more than a whole one: a word is right only as a whole."""
    batch = collate(corpus, np.array([1]))
    whole, mixed = torch.zeros(1, 6, SLOTS), torch.zeros(1, 6, SLOTS)
    whole[0, 3, 1] = whole[0, 4, 1] = 9
    mixed[0, 3, 1] = mixed[0, 4, 2] = 9
    assert loss_of(mixed, batch) > loss_of(whole, batch) + 1


def test_a_position_that_can_only_be_kept_teaches_nothing(corpus: Corpus) -> None:
    batch = collate(corpus, np.array([1]))
    logits = probabilities(batch, 2)
    logits[0, 2, 1:] = -10_000.0
    without = logits.clone()
    without[0, 2, 0] = 5.0
    assert loss_of(logits, batch) == loss_of(without, batch)


def test_every_sentence_is_in_an_epoch_once_and_batches_keep_to_their_size(corpus: Corpus) -> None:
    found = list(orders(corpus, epoch=3, seed=1, batch_tokens=14))
    assert sorted(np.concatenate(found).tolist()) == [0, 1, 2]
    lengths = np.diff(corpus.starts)
    assert all(len(rows) * lengths[rows].max() <= 14 for rows in found)


def test_words_cut_off_are_left_out() -> None:
    cut = join([sentence("그 수도", [1, 1, 0, 0], (2, "수도"))], tiny_tables(), WEIGHTS, longest=3)
    assert len(cut.tokens) == 4
    assert len(cut.word_id) == 0


def test_a_model_learns_the_weights_and_not_what_it_prefers_already() -> None:
    """수도 as 首都 twice as often as 水道: a model that says 水道 is drawn back."""
    corpus = join([sentence("수도", [0, 0], (0, "수도"))], tiny_tables(), WEIGHTS)
    batch = collate(corpus, np.array([0]))
    logits = torch.zeros(1, 3, SLOTS)
    logits[0, 1:, 2] = 6.0
    logits.requires_grad_()
    loss_of(logits, batch).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 1:, 1] < 0).all()
    assert (logits.grad[0, 1:, 2] > 0).all()
