"""A model that starts from another's weights behaves like it, whatever numbers its tables give things."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from syllable_model import READINGS, WORDS, tiny_model, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.data.tables import Tables
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.assemble import assemble
from hanjaserve.build.model.transfer import Labelled, take_weights

TEXT = "법원 수도의사 회의수"


def tables_of(readings: Mapping[str, str], words: dict[str, list[str]]) -> Tables:
    """The tiny tables with other readings and words; labels and characters numbered the other way round."""
    old = tiny_tables()
    size = old.char_vocab_size
    hanja = sorted(set("".join(readings.values())), reverse=True)
    return Tables(
        labels=["", *hanja],
        slots={s: {h: n for n, h in enumerate(found, 1)} for s, found in readings.items()},
        spellings=words,
        char_id=np.where(old.char_id > 0, size - old.char_id, 0).astype(np.int32),
        char_vocab_size=size,
    )


def scores(model: HanjaTokenClassifier, labels: Sequence[str]) -> list[dict[str, float]]:
    """Per syllable of TEXT, the score of each Hanja."""
    with torch.no_grad():
        logits, label = model(torch.tensor([[1, *map(ord, TEXT)]]))
    pairs = zip(label[0].tolist(), logits[0].tolist(), strict=True)
    return [
        {labels[n]: score for n, score in zip(numbers, found, strict=True) if score > -5000}
        for numbers, found in pairs
    ]


@pytest.fixture(scope="module")
def old() -> Labelled:
    model = tiny_model(tiny_tables()).eval()
    with torch.no_grad():
        model.spelling_bias.weight.normal_(generator=torch.Generator().manual_seed(4))
    return Labelled(model=model, labels=tiny_tables().labels)


def test_the_same_words_in_other_tables_get_the_same_scores(old: Labelled) -> None:
    readings = {syllable: found[::-1] for syllable, found in reversed(READINGS.items())}
    tables = tables_of(readings, dict(reversed(WORDS.items())))
    new = Labelled(model=tiny_model(tables).eval(), labels=tables.labels)
    assert scores(new.model, new.labels) != scores(old.model, old.labels)
    assert take_weights(new, old, sorted(tables.spellings)) == []
    for found, expected in zip(
        scores(new.model, new.labels), scores(old.model, old.labels), strict=True
    ):
        assert found == pytest.approx(expected, abs=1e-4)


def test_what_the_old_model_does_not_know_keeps_its_own_weights(old: Labelled) -> None:
    tables = tables_of(READINGS | {"수": "首水數壽"}, {**WORDS, "원수": ["院數"]})
    new = Labelled(model=tiny_model(tables), labels=tables.labels)
    row = tables.labels.index("壽")
    before = new.model.candidates.hanja.weight[row].clone()
    take_weights(new, old, sorted(tables.spellings))
    assert torch.equal(new.model.candidates.hanja.weight[row], before)
    known = old.model.candidates.hanja.weight[old.labels.index("數")]
    assert torch.equal(new.model.candidates.hanja.weight[tables.labels.index("數")], known)


def test_more_layers_change_nothing_at_first_and_learn(old: Labelled) -> None:
    tables = tiny_tables()
    deep = assemble(tables, 7, hidden_size=32, num_hidden_layers=4, label_size=16).eval()
    with torch.no_grad():
        for layer in deep.encoder.layers:
            layer.neighbours.weight.normal_()  # which is 0 at first in any model
    new = Labelled(model=deep, labels=tables.labels)
    fresh = take_weights(new, old, sorted(tables.spellings))
    assert fresh
    assert all(name.startswith(("encoder.layers.2.", "encoder.layers.3.")) for name in fresh)
    for found, expected in zip(scores(deep, tables.labels), scores(old.model, old.labels), strict=True):
        assert found == pytest.approx(expected, abs=1e-4)
    deep(torch.tensor([[1, *map(ord, TEXT)]]))[0].clamp(min=-5000).square().sum().backward()
    assert all(layer.attention_out.weight.grad.abs().sum() > 0 for layer in deep.encoder.layers)
