"""Trains the syllable model: partial-label loss over allowed slots, AdamW, one-cycle learning rate.

The loss of a position is minus the log of the summed probability of its allowed slots, so "one of these
three Hanja, but not Hangul" is a label like any other (Jin and Ghahramani 2002). The order of batches is a
function of seed and epoch alone and a checkpoint holds the optimizer and the random state, so a run that is
killed and resumed continues as if nothing had happened.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from hanjaserve.build.data import prepare as data
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.words import save_words
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.assemble import assemble
from hanjaserve.server.errors import BuildError
from hanjaserve.server.words import WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Hyperparameters; the defaults made the bundled model."""

    steps: int = 2000
    batch_tokens: int = 4096
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    seed: int = 42
    save_every: int = 200


def loss_of(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean partial-label loss.

    Args:
        logits: float [b, t, c].
        masks: int64 [b, t]; bit n allows slot n, 0 = position without a label.
    """
    bits = (masks[..., None] >> torch.arange(logits.shape[-1], device=masks.device)) & 1
    log_p = torch.log_softmax(logits, dim=-1)
    allowed = torch.logsumexp(log_p.masked_fill(bits == 0, -1e9), dim=-1)
    # A position with KEEP as its only candidate teaches nothing and would only dilute the mean.
    taught = (masks != 0) & (logits[..., 1] > -5000)
    return -(allowed * taught).sum() / taught.sum().clamp(min=1)


def batches(corpus: data.Corpus, epoch: int, config: TrainConfig) -> Iterator[NDArray[np.int64]]:
    """Sentence numbers of each batch of an epoch: similar lengths together, batches shuffled."""
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(corpus.starts) - 1)
    lengths = np.diff(corpus.starts)
    found = []
    for chunk in np.array_split(order, max(1, len(order) // 8192)):
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        first = 0
        while first < len(chunk):
            last = first + 1
            while (
                last < len(chunk)
                and (last + 1 - first) * lengths[chunk[last]] <= config.batch_tokens
            ):
                last += 1
            found.append(chunk[first:last])
            first = last
    rng.shuffle(found)
    yield from found


def collate(corpus: data.Corpus, numbers: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Padded tokens int64 [b, t] and masks int64 [b, t]."""
    starts, stops = corpus.starts[numbers], corpus.starts[numbers + 1]
    longest = int((stops - starts).max())
    tokens = np.zeros((len(numbers), longest), np.int64)
    masks = np.zeros((len(numbers), longest), np.int64)
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        tokens[row, : stop - start] = corpus.tokens[start:stop]
        masks[row, : stop - start] = corpus.masks[start:stop]
    return torch.from_numpy(tokens), torch.from_numpy(masks)


def optimizer_of(model: HanjaTokenClassifier, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; matrices decay, tables, biases and norms don't."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "encoder.layers" in n]
    decayed = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in decayed]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def train(model: HanjaTokenClassifier, corpus: data.Corpus, config: TrainConfig, folder: Path
          ) -> None:  # fmt: skip
    """Trains to `config.steps`, resuming from `folder`/state.pt when it is there."""
    optimizer = optimizer_of(model, config)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=config.warmup,
        anneal_strategy="linear", cycle_momentum=False, final_div_factor=100,
    )  # fmt: skip
    state_path = folder / "state.pt"
    step, epoch, done = 0, 0, 0
    if state_path.is_file():
        state = torch.load(state_path, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        step, epoch, done = state["step"], state["epoch"], state["done"]
    else:
        torch.manual_seed(config.seed)
    model.train()
    progress = tqdm(total=config.steps, initial=step, unit="step", mininterval=10)
    average = 0.0
    while step < config.steps:
        for number, rows in enumerate(batches(corpus, epoch, config)):
            if number < done:
                continue
            tokens, masks = collate(corpus, rows)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(tokens)[0], masks)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step, done = step + 1, number + 1
            average += (loss.item() - average) / min(step, 50)
            progress.update()
            progress.set_postfix(loss=f"{average:.4f}", epoch=epoch, refresh=False)
            if step % config.save_every == 0 or step == config.steps:
                _save(state_path, {
                    "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(), "random": torch.get_rng_state(),
                    "step": step, "epoch": epoch, "done": done,
                })  # fmt: skip
            if step == config.steps:
                return
        epoch, done = epoch + 1, 0


def _save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside and renames: a full disk or a kill leaves the previous checkpoint whole."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def save_checkpoint(model: HanjaTokenClassifier, folder: Path) -> None:
    """The Hugging Face checkpoint with the tables that the bundle needs beside it."""
    model.eval()
    model.save_pretrained(folder)


def save_tables(tables: Tables, folder: Path) -> None:
    """labels.txt (one a line, the first empty), readings.tsv (syllable TAB its Hanja), words.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("\n".join(tables.labels) + "\n", encoding="utf-8")
    readings = "".join(f"{s}\t{''.join(found)}\n" for s, found in sorted(tables.slots.items()))
    (folder / "readings.tsv").write_text(readings, encoding="utf-8")
    save_words(tables, folder)


DEFAULTS = TrainConfig()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `hanjaserve train`."""
    parser.add_argument("--out", type=Path, default=Path("checkpoints/default"))
    parser.add_argument("--steps", type=int, default=DEFAULTS.steps)
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
    parser.add_argument("--precedents", type=int, default=32_000, help="court sentences")
    parser.add_argument("--statutes", type=int, default=12_000, help="statute sentences, each kind")
    parser.add_argument("--reviews", type=int, default=45_000, help="film reviews")


def run(arguments: argparse.Namespace) -> int:
    """Prepares (or reuses) the corpus, trains, and writes the checkpoint."""
    if arguments.steps < 1:
        raise BuildError(f"--steps is {arguments.steps}: it must be at least 1")
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    cache = folder / "corpus.npz"
    if not cache.is_file():
        tables, entries = data.make_tables()
        save_tables(tables, folder)
        corpus = data.prepare(tables, entries, precedents=arguments.precedents,
                              statutes=arguments.statutes, reviews=arguments.reviews,
                              seed=arguments.seed)  # fmt: skip
        assemble(tables, arguments.seed).save_pretrained(folder / "untrained")
        data.save(corpus, cache)
    elif not (folder / WORDS).is_file():
        # A folder of an earlier version; its tables are a function of the same sources.
        save_words(data.make_tables()[0], folder)
    model = HanjaTokenClassifier.from_pretrained(folder / "untrained")
    config = TrainConfig(steps=arguments.steps, seed=arguments.seed)
    train(model, data.load(cache), config, folder)
    save_checkpoint(model, folder)
    tqdm.write(f"trained {config.steps} steps in {time.monotonic() - started:.0f} s: {folder}")
    return 0
