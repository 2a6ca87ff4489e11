from pathlib import Path

import numpy as np
import pytest
import torch
from syllable_model import WORDS, tiny_model, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build import train as training
from hanjaserve.build.data import sources
from hanjaserve.build.data.corpus import Corpus, Sentence, join
from hanjaserve.build.data.distant import Labels
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.train import TrainConfig, train
from hanjaserve.server.errors import BuildError

WEIGHTS = {"general": {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}}
TEXTS = ("수도", "그 수도는", "의사와 수도", "법원", "회의", "법원과 의사", "수도 회의")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    sentences = []
    for text in TEXTS:
        words = [(text.find(word), word) for word in ("수도", "의사") if word in text]
        masks = np.array([1 if char in "그는와과" else 0b10 if char in "법원회" else 0 for char in text])
        labels = Labels(masks=masks.astype(np.uint64), words=words)
        sentences.append(Sentence(style=1, domain="general", text=text, labels=labels))
    return join(sentences, tiny_tables(), WEIGHTS)


def weights_after(folder: Path, corpus: Corpus, *stops: int) -> dict[str, torch.Tensor]:
    """The weights after 6 steps, with the process ended at each of `stops` on the way."""
    config = TrainConfig(steps=6, batch_tokens=20, save_every=1)
    folder.mkdir()
    for stop in stops:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "_save", _dies_after(stop))
            with pytest.raises(KeyboardInterrupt):
                train(tiny_model(tiny_tables()), corpus, config, folder)
    model = tiny_model(tiny_tables())
    train(model, corpus, config, folder)
    return model.state_dict()


def _dies_after(step: int):  # type: ignore[no-untyped-def]
    save = training._save

    def dying(path: Path, state: dict) -> None:  # type: ignore[type-arg]
        save(path, state)
        if state["step"] == step:
            raise KeyboardInterrupt

    return dying


def test_a_run_that_is_killed_and_resumed_ends_in_the_same_weights(tmp_path: Path, corpus: Corpus) -> None:
    expected = weights_after(tmp_path / "straight", corpus)
    found = weights_after(tmp_path / "resumed", corpus, 2, 5)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not torch.equal(expected["query.weight"], tiny_model(tiny_tables()).query.weight)


def test_training_lowers_the_loss(tmp_path: Path, corpus: Corpus) -> None:
    from hanjaserve.build.data.batches import collate
    from hanjaserve.build.loss import loss_of

    batch = collate(corpus, np.arange(len(corpus)))
    model = tiny_model(tiny_tables())
    before = loss_of(model(batch.tokens)[0], batch).item()
    train(model, corpus, TrainConfig(steps=40, batch_tokens=64), tmp_path)
    assert loss_of(model(batch.tokens)[0], batch).item() < before / 2


def test_a_checkpoint_holds_fp16_values_and_behaves_like_the_model(tmp_path: Path) -> None:
    model = tiny_model(tiny_tables()).eval()
    tokens = torch.tensor([[1, *map(ord, "의사와 수도 회의")]])
    with torch.no_grad():
        model.char.finals.normal_(generator=torch.Generator().manual_seed(2))
        expected, labels = model(tokens)
        training.save_checkpoint(model, tmp_path)
        saved = HanjaTokenClassifier.from_pretrained(tmp_path).eval()
        found, same = saved(tokens)
    assert all(torch.equal(p, p.half().float()) for p in saved.parameters())
    assert not saved.char.finals.any()
    assert torch.equal(labels, same)
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-2)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.pt"
    training._save(path, {"step": 1})

    def full(state: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        training._save(path, {"step": 2})
    monkeypatch.undo()
    assert torch.load(path, weights_only=False) == {"step": 1}


def test_a_malformed_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lzma

    with lzma.open(tmp_path / "stdict_words.tsv.xz", "wt", encoding="utf-8") as file:
        file.write("수도\t首都\n수도 首都\n")
    monkeypatch.setenv("HANJASERVE_DATA", str(tmp_path))
    with pytest.raises(BuildError, match=r"stdict_words\.tsv\.xz line 2: 1 columns, expected 2"):
        list(sources.rows("stdict_words.tsv", 2))


def test_a_missing_file_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANJASERVE_DATA", str(tmp_path))
    with pytest.raises(BuildError, match=r"bible\.tsv\.xz is missing; docs/training\.md"):
        list(sources.bible("test"))
