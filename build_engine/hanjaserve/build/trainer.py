"""Trains the syllable model: partial-label loss, AdamW, one-cycle learning rate.

The order of batches is a function of seed and epoch alone, random numbers one of seed and step, and a
checkpoint holds the rest, so a run that is killed and resumed continues as if nothing had happened.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from hanjaserve.build.data.batches import Batch, collate, orders
from hanjaserve.build.data.corpus import Corpus
from hanjaserve.build.loss import loss_of
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.place import Place

AVERAGED = 50
"""Steps over which the loss is averaged, about."""

Report = Callable[[HanjaTokenClassifier, int, float, float], None]
"""(model, step, epoch, mean loss), now and then, in the process that leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Hyperparameters.

    Attributes:
        batch_tokens: of each process, padding included.
        learning_rate: at its highest.
        warmup: share of the steps in which it rises.
        report_every: steps between two reports; there is one at the end, too.
        compiled: compile what is trained, which takes a minute and a C++ compiler.
    """

    steps: int = 16_000
    batch_tokens: int = 4096
    learning_rate: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    seed: int = 42
    save_every: int = 200
    report_every: int = 1000
    compiled: bool = False


class Trainer:
    """Trains a model in a folder, going on from `state.pt` when it is there.

    Args:
        model: changed in place.
        corpus: what it learns from.
        config: how.
        folder: where `state.pt` goes.
        place: where to compute.
        report: told now and then how far training is.
    """

    def __init__(
        self,
        model: HanjaTokenClassifier,
        corpus: Corpus,
        config: TrainConfig,
        folder: Path,
        place: Place,
        report: Report | None = None,
    ) -> None:
        self._model, self._corpus, self._config, self._place = model, corpus, config, place
        self._report = report
        self._state_path = folder / "state.pt"
        model.to(place.device)
        # Reports ask the model itself, and checkpoints hold its weights: both are the same.
        fast: Any = torch.compile(model, dynamic=True) if config.compiled else model
        self._spread = place.spread(fast)
        self._optimizer = optimizer_of(model, config)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, config.learning_rate, total_steps=config.steps, pct_start=config.warmup,
            anneal_strategy="linear", cycle_momentum=False, final_div_factor=100,
        )  # fmt: skip
        self._step, self._loss = 0, 0.0

    def run(self) -> None:
        """Train to the last step."""
        epoch, done = self._restore() if self._state_path.is_file() else (0, 0)
        config = self._config
        self._model.train()
        progress = tqdm(
            total=config.steps, initial=self._step, unit="step", mininterval=10,
            disable=not self._place.leads,
        )  # fmt: skip
        while self._step < config.steps:
            for batch, share in self._batches(epoch, done):
                self._learn(batch)
                done += 1
                progress.update()
                progress.set_postfix(loss=f"{self._loss:.4f}", epoch=epoch, refresh=False)
                last = self._step == config.steps
                if last or self._step % config.save_every == 0:
                    self._save(epoch, done)
                if last or self._step % config.report_every == 0:
                    self._tell(epoch + share)
                if last:
                    return
            epoch, done = epoch + 1, 0

    def _batches(self, epoch: int, done: int) -> Iterator[tuple[Batch, float]]:
        """This process's batches of an epoch, without the first `done`, and the share that is over then."""
        config, place = self._config, self._place
        found = list(orders(self._corpus, epoch, config.seed, config.batch_tokens))
        # Every process makes as many steps, or one would wait for the others forever.
        steps = max(1, len(found) // place.world)
        mine = [found[(step * place.world + place.rank) % len(found)] for step in range(steps)]
        for number, rows in islice(enumerate(mine, 1), done, None):
            yield collate(self._corpus, rows).to(place.device), number / steps

    def _learn(self, batch: Batch) -> None:
        config, place = self._config, self._place
        torch.manual_seed((config.seed * 1_000_003 + self._step) * place.world + place.rank)
        self._optimizer.zero_grad(set_to_none=True)
        with place.precision():
            loss = loss_of(self._spread(batch.tokens)[0].float(), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._step += 1
        self._loss += (loss.item() - self._loss) / min(self._step, AVERAGED)

    def _tell(self, epoch: float) -> None:
        if self._report is not None and self._place.leads:
            self._report(self._model, self._step, epoch, self._loss)
        self._place.wait()

    def _restore(self) -> tuple[int, int]:
        """Load what `_save` wrote; returns the epoch and how many of its batches are done."""
        state = torch.load(self._state_path, weights_only=False, map_location=self._place.device)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._step, self._loss = state["step"], state["loss"]
        return state["epoch"], state["done"]

    def _save(self, epoch: int, done: int) -> None:
        if self._place.leads:
            write_state(self._state_path, {
                "model": self._model.state_dict(), "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "step": self._step, "loss": self._loss, "epoch": epoch, "done": done,
            })  # fmt: skip


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


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes beside and renames: a full disk or a kill leaves the previous checkpoint whole."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
