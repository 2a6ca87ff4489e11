import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from syllable_model import WORDS, tiny_model, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build import train as training
from hanjaserve.build import trainer
from hanjaserve.build.data import sources
from hanjaserve.build.data.batches import Batch, collate, orders
from hanjaserve.build.data.corpus import Corpus, Sentence, join
from hanjaserve.build.data.distant import Labels
from hanjaserve.build.loss import loss_of
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.place import Place, training_place
from hanjaserve.build.trainer import TrainConfig, Trainer
from hanjaserve.server.errors import BuildError

WEIGHTS = {"general": {word: dict.fromkeys(found, 1.0) for word, found in WORDS.items()}}
ALONE = Place(device=torch.device("cpu"))
SHORT = TrainConfig(steps=6, batch_tokens=20, save_every=1)
TEXTS = ("수도", "그 수도는", "의사와 수도", "법원", "회의", "법원과 의사", "수도 회의")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus()


def make_corpus() -> Corpus:
    sentences = []
    for text in TEXTS:
        words = [(text.find(word), word) for word in ("수도", "의사") if word in text]
        masks = np.array([1 if char in "그는와과" else 0b10 if char in "법원회" else 0 for char in text])
        labels = Labels(masks=masks.astype(np.uint64), words=words)
        sentences.append(Sentence(style=1, domain="general", text=text, labels=labels))
    return join(sentences, tiny_tables(), WEIGHTS)


def weights_after(folder: Path, corpus: Corpus, *stops: int) -> dict[str, torch.Tensor]:
    """The weights after 6 steps, with the process ended at each of `stops` on the way."""
    folder.mkdir()
    for stop in stops:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "write_state", _dies_after(stop))
            with pytest.raises(KeyboardInterrupt):
                trained(folder, corpus, SHORT)
    return trained(folder, corpus, SHORT).state_dict()


def trained(folder: Path, corpus: Corpus, config: TrainConfig) -> HanjaTokenClassifier:
    model = tiny_model(tiny_tables())
    Trainer(model, corpus, config, folder, ALONE).run()
    return model


def _dies_after(step: int):  # type: ignore[no-untyped-def]
    save = trainer.write_state

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


def test_a_compiled_model_learns_the_same(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = weights_after(tmp_path / "plain", corpus)
    # Capturing the graph is ours to keep possible; what becomes of it needs a C++ compiler and a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    fast = tmp_path / "fast"
    fast.mkdir()
    found = trained(fast, corpus, replace(SHORT, compiled=True)).state_dict()
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, msg=name)


def test_processes_share_the_work_and_end_in_the_same_weights(tmp_path: Path, corpus: Corpus) -> None:
    port = _free_port()
    torch.multiprocessing.spawn(_one_of_two, (port, tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f"weights{rank}.pt") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    expected = _two_batches_a_step(corpus)
    for name, weight in first.items():
        torch.testing.assert_close(weight, expected[name], msg=name)
    assert torch.load(tmp_path / "two" / "state.pt", weights_only=False)["step"] == 3
    assert (tmp_path / "reports").read_text() == "0 of 2 at 3\n"


def _two_batches_a_step(corpus: Corpus) -> dict[str, torch.Tensor]:
    """What one process comes to that takes the mean of two batches for every step."""
    both: dict[str, Any] = {}

    def mean_of_two(self: Trainer, epoch: int, done: int) -> Iterator[tuple[Any, float]]:
        rows = list(orders(corpus, epoch, SHORT.seed, SHORT.batch_tokens))
        for step in range(done, len(rows) // 2):
            both["loss"] = [collate(corpus, found) for found in rows[2 * step : 2 * step + 2]]
            yield both["loss"][0], 0.0

    def mean_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return sum(loss_of(model(found.tokens)[0], found) for found in both["loss"]) / 2

    model = tiny_model(tiny_tables())
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(Trainer, "_batches", mean_of_two)
        patch.setattr(trainer, "loss_of", mean_loss)
        Trainer(model, corpus, replace(SHORT, steps=3), Path(folder), ALONE).run()
    return model.state_dict()


def _one_of_two(rank: int, port: int, folder: Path) -> None:
    found = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in found.items()})
    torch.set_num_threads(1)
    (folder / "two").mkdir(exist_ok=True)
    model = tiny_model(tiny_tables())
    with training_place() as found_place, (folder / "reports").open("a") as reports:
        # Rounded to BF16, small differences grow.
        place = replace(found_place, bf16=False)

        def report(model: HanjaTokenClassifier, step: int, epoch: float, loss: float) -> None:
            reports.write(f"{place.rank} of {place.world} at {step}\n")

        Trainer(model, make_corpus(), replace(SHORT, steps=3), folder / "two", place, report).run()
    torch.save(model.state_dict(), folder / f"weights{rank}.pt")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_training_lowers_the_loss(tmp_path: Path, corpus: Corpus) -> None:
    batch = collate(corpus, np.arange(len(corpus)))
    model = tiny_model(tiny_tables())
    before = loss_of(model(batch.tokens)[0], batch).item()
    Trainer(model, corpus, TrainConfig(steps=40, batch_tokens=64), tmp_path, ALONE).run()
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
    trainer.write_state(path, {"step": 1})

    def full(state: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        trainer.write_state(path, {"step": 2})
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
