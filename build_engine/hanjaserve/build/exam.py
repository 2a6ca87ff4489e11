"""What a model is asked while it is trained, and the card that says how it answered.

The card is that of the reference: a line for each time with loss, accuracy, precision, recall and F1. Both
sets are for evaluation only: the Bible's dev split, and interface texts of today.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hanjaserve.build.data import sources
from hanjaserve.build.data.corpus import MODERN, SCRIPTURE
from hanjaserve.build.metrics import count, ratios, totals
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.server.runners.plans import write_atomically

BATCH = 64
CURVE_FILE, CARD_FILE = "curve.jsonl", "README.md"
COLUMNS = ("syllable_accuracy", "hanja_precision", "hanja_recall", "hanja_f1", "exact_sentences")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Sentences to convert.

    Attributes:
        name: of the set.
        style: the token that announces its style.
        pairs: (hangul, mixed) of equal length.
    """

    name: str
    style: int
    pairs: Sequence[tuple[str, str]]


def make_papers() -> list[Paper]:
    """The two sets, from the data folder."""
    return [
        Paper(name="bible dev", style=SCRIPTURE, pairs=list(sources.bible("dev"))),
        Paper(name="localisation dev", style=MODERN, pairs=list(sources.localisation())),
    ]


class Exam:
    """Asks a model and keeps its answers in a folder, one line of JSON for each time.

    Args:
        papers: what is asked.
        labels: Hanja by label id; label 0 is KEEP, the empty string.
        folder: where the lines go.
    """

    def __init__(self, papers: Sequence[Paper], labels: Sequence[str], folder: Path) -> None:
        self._papers, self._labels = papers, labels
        self._curve, self._card = folder / CURVE_FILE, folder / CARD_FILE

    def ask(self, model: HanjaTokenClassifier, step: int, epoch: float, loss: float) -> None:
        """Convert everything, and add a line; lines of later steps, from before a kill, go."""
        training = model.training
        model.eval()
        line = {"step": step, "epoch": round(epoch, 2), "loss": round(loss, 4)}
        figures = {paper.name: self._figures(model, paper) for paper in self._papers}
        model.train(training)
        kept = [earlier for earlier in self.lines() if earlier["step"] < step]
        text = "".join(json.dumps(found) + "\n" for found in (*kept, {**line, **figures}))
        write_atomically(self._curve, text.encode())

    def lines(self) -> list[dict[str, Any]]:
        """What was kept so far, oldest first."""
        if not self._curve.is_file():
            return []
        return [json.loads(line) for line in self._curve.read_text("utf-8").splitlines()]

    def write_card(self, name: str, settings: Mapping[str, object]) -> None:
        """Write the model card.

        Args:
            name: of the model.
            settings: how it was trained.
        """
        rows = [f"- {key.replace('_', ' ')}: {value}" for key, value in settings.items()]
        head = (
            "---\nlanguage: ko\nlibrary_name: hanjaserve\npipeline_tag: token-classification\n---\n\n"
            f"# {name}\n\nConverts Korean text from Hangul to Hanja; made by `hanjaserve train`.\n\n"
        )
        parts = [head, "## Training\n\n", "\n".join(rows), "\n"]
        parts += (f"\n## {paper.name}\n\n{self._table(paper.name)}" for paper in self._papers)
        self._card.write_text("".join(parts), "utf-8")

    def _table(self, name: str) -> str:
        titles = ["step", "epoch", "loss", *(column.replace("_", " ") for column in COLUMNS)]
        rows = [titles, ["---"] * len(titles)]
        for line in self.lines():
            numbers = [f"{line[name][column]:.4f}" for column in COLUMNS]
            rows.append([str(line["step"]), str(line["epoch"]), f"{line['loss']:.4f}", *numbers])
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def _figures(self, model: HanjaTokenClassifier, paper: Paper) -> dict[str, float]:
        converted = self._convert(model, [hangul for hangul, _ in paper.pairs], paper.style)
        counts = [count(*pair, found) for pair, found in zip(paper.pairs, converted, strict=True)]
        found = ratios(totals(counts))
        return {column: round(found[column], 4) for column in COLUMNS}

    def _convert(self, model: HanjaTokenClassifier, texts: Sequence[str], style: int) -> list[str]:
        found = [""] * len(texts)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for start in range(0, len(order), BATCH):
            numbers = order[start : start + BATCH]
            answers = self._convert_batch(model, [texts[number] for number in numbers], style)
            for number, text in zip(numbers, answers, strict=True):
                found[number] = text
        return found

    @torch.no_grad()
    def _convert_batch(
        self, model: HanjaTokenClassifier, texts: Sequence[str], style: int
    ) -> Iterator[str]:
        rows = [torch.tensor([style, *(min(ord(char), 0xFFFF) for char in text)]) for text in texts]
        device = next(model.parameters()).device
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        logits, labels = model(tokens)
        best = torch.gather(labels, -1, logits.argmax(-1, keepdim=True))[..., 0].tolist()
        for text, row in zip(texts, best, strict=True):
            chosen = zip(row[1:], text, strict=False)
            yield "".join(self._labels[label] or char for label, char in chosen)
