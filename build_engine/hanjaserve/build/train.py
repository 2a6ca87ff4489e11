"""Trains the syllable model: partial-label loss, AdamW, one-cycle learning rate.

The order of batches is a function of seed and epoch alone and a checkpoint holds the optimizer and the
random state, so a run that is killed and resumed continues as if nothing had happened.
"""

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.data.batches import collate, orders
from hanjaserve.build.data.corpus import Corpus
from hanjaserve.build.data.prepare import Mix, prepare
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.vocabulary import make_vocabulary
from hanjaserve.build.data.words import save_words
from hanjaserve.build.loss import loss_of
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.assemble import assemble
from hanjaserve.build.model.transfer import Labelled, take_weights
from hanjaserve.server.errors import BuildError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Hyperparameters."""

    steps: int = 16_000
    batch_tokens: int = 4096
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    seed: int = 42
    save_every: int = 200


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


def train(model: HanjaTokenClassifier, corpus: Corpus, config: TrainConfig, folder: Path
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
        for number, rows in enumerate(orders(corpus, epoch, config.seed, config.batch_tokens)):
            if number < done:
                continue
            batch = collate(corpus, rows)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(batch.tokens)[0], batch)
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
    """Writes the Hugging Face checkpoint, its weights rounded to FP16 values.

    A bundle stores FP16, so rounding here, not there, makes what is served equal to what is evaluated.
    """
    model.eval()
    model.char.fold()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    model.save_pretrained(folder)


def save_tables(tables: Tables, folder: Path) -> None:
    """labels.txt (one a line, the first empty), readings.tsv (syllable TAB its Hanja), words.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("\n".join(tables.labels) + "\n", encoding="utf-8")
    readings = "".join(f"{s}\t{''.join(found)}\n" for s, found in sorted(tables.slots.items()))
    (folder / "readings.tsv").write_text(readings, encoding="utf-8")
    save_words(tables, folder)


def _start_from(source: str, model: HanjaTokenClassifier, tables: Tables) -> None:
    old = load_checkpoint(source)
    if not isinstance(old.model, HanjaTokenClassifier):
        raise BuildError(f"--start {source}: labels of scheme {old.scheme}, only syllable can be trained on")
    fresh = take_weights(
        Labelled(model=model, labels=tables.labels),
        Labelled(model=old.model, labels=old.labels),
        sorted(tables.spellings),
    )
    tqdm.write(f"weights of {source}; new ones: {', '.join(fresh) or 'none'}")


DEFAULTS = TrainConfig()
MIX = Mix()
SIZES = (
    "annotated", "precedents", "statutes", "reviews", "words", "frequent", "foreign", "compounds", "clauses",
    "topics",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `hanjaserve train`."""
    parser.add_argument("--out", type=Path, default=Path("checkpoints/default"))
    parser.add_argument("--steps", type=int, default=DEFAULTS.steps, help="(default: %(default)s)")
    parser.add_argument(
        "--learning-rate", type=float, default=DEFAULTS.learning_rate, metavar="RATE",
        help="at its highest (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="(default: %(default)s)")
    parser.add_argument(
        "--start", metavar="CHECKPOINT",
        help="begin with the weights of an earlier model; its tables may be others",
    )  # fmt: skip
    for name in SIZES:
        parser.add_argument(
            f"--{name}", type=int, default=getattr(MIX, name), metavar="N", help="(default: %(default)s)"
        )


def run(arguments: argparse.Namespace) -> int:
    """Prepares (or reuses) the corpus, trains, and writes the checkpoint."""
    if arguments.steps < 1:
        raise BuildError(f"--steps is {arguments.steps}: it must be at least 1")
    folder: Path = arguments.out
    started = time.monotonic()
    cache = folder / "corpus.npz"
    if not cache.is_file():
        vocabulary = make_vocabulary()
        save_tables(vocabulary.tables, folder)
        mix = Mix(**{name: getattr(arguments, name) for name in SIZES})
        corpus = prepare(vocabulary, mix, arguments.seed)
        model = assemble(vocabulary.tables, arguments.seed)
        if arguments.start:
            _start_from(arguments.start, model, vocabulary.tables)
        model.save_pretrained(folder / "untrained")
        corpus.save(cache)
    model = HanjaTokenClassifier.from_pretrained(folder / "untrained")
    config = TrainConfig(
        steps=arguments.steps, seed=arguments.seed, learning_rate=arguments.learning_rate
    )
    train(model, Corpus.load(cache), config, folder)
    save_checkpoint(model, folder)
    tqdm.write(f"trained {config.steps} steps in {time.monotonic() - started:.0f} s: {folder}")
    return 0
