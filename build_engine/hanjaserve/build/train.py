"""`hanjaserve train`: corpus, training, checkpoint and model card in one folder, from the data folder."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.data.corpus import Corpus
from hanjaserve.build.data.prepare import Mix, prepare
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.data.vocabulary import make_vocabulary
from hanjaserve.build.data.words import save_words
from hanjaserve.build.exam import Exam, make_papers
from hanjaserve.build.model import HanjaTokenClassifier
from hanjaserve.build.model.assemble import assemble
from hanjaserve.build.model.configuration import HanjaConfig
from hanjaserve.build.model.transfer import Labelled, take_weights
from hanjaserve.build.place import Place, training_place
from hanjaserve.build.trainer import TrainConfig, Trainer
from hanjaserve.server.errors import BuildError

LABELS_FILE, CORPUS_FILE, UNTRAINED = "labels.txt", "corpus.npz", "untrained"
DEFAULTS = TrainConfig()
MIX = Mix()
SIZES = (
    "scripture", "scripture_passes", "mixed", "annotated", "precedents", "statutes", "reviews", "words",
    "frequent", "foreign", "compounds", "clauses", "topics", "phrases",
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
        "--compile", action="store_true", help="compile the model first: a minute, and faster steps then"
    )
    parser.add_argument(
        "--start", metavar="CHECKPOINT",
        help="begin with the weights of an earlier model; its tables may be others",
    )  # fmt: skip
    parser.add_argument(
        "--layers", type=int, default=HanjaConfig().num_hidden_layers, metavar="N",
        help="of the model (default: %(default)s); those that --start lacks change nothing at first",
    )  # fmt: skip
    for name in SIZES:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=getattr(MIX, name), metavar="N",
            help="(default: %(default)s)",
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Prepares (or reuses) the corpus, trains, and writes the checkpoint."""
    if arguments.steps < 1:
        raise BuildError(f"--steps is {arguments.steps}: it must be at least 1")
    if arguments.layers < 1:
        raise BuildError(f"--layers is {arguments.layers}: it must be at least 1")
    started = time.monotonic()
    with training_place() as place:
        if place.leads and not (arguments.out / CORPUS_FILE).is_file():
            _prepare(arguments)
        place.wait()
        _train(arguments, place)
    if place.leads:
        tqdm.write(f"trained {arguments.steps} steps in {time.monotonic() - started:.0f} s: {arguments.out}")
    return 0


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
    (folder / LABELS_FILE).write_text("\n".join(tables.labels) + "\n", encoding="utf-8")
    readings = "".join(f"{s}\t{''.join(found)}\n" for s, found in sorted(tables.slots.items()))
    (folder / "readings.tsv").write_text(readings, encoding="utf-8")
    save_words(tables, folder)


def _prepare(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.out
    vocabulary = make_vocabulary()
    save_tables(vocabulary.tables, folder)
    corpus = prepare(vocabulary, _mix(arguments), arguments.seed)
    model = assemble(vocabulary.tables, arguments.seed, num_hidden_layers=arguments.layers)
    if arguments.start:
        _start_from(arguments.start, model, vocabulary.tables)
    model.save_pretrained(folder / UNTRAINED)
    corpus.save(folder / CORPUS_FILE)


def _train(arguments: argparse.Namespace, place: Place) -> None:
    folder: Path = arguments.out
    model = HanjaTokenClassifier.from_pretrained(folder / UNTRAINED)
    config = TrainConfig(
        steps=arguments.steps, seed=arguments.seed, learning_rate=arguments.learning_rate,
        compiled=arguments.compile,
    )  # fmt: skip
    labels = (folder / LABELS_FILE).read_text("utf-8").removesuffix("\n").split("\n")
    exam = Exam(make_papers(), labels, folder)
    Trainer(model, Corpus.load(folder / CORPUS_FILE), config, folder, place, exam.ask).run()
    if place.leads:
        save_checkpoint(model.cpu(), folder)
        start = {"start": arguments.start} if arguments.start else {}
        layers = {"layers": model.config.num_hidden_layers}
        exam.write_card(folder.name, asdict(config) | layers | start | asdict(_mix(arguments)))


def _mix(arguments: argparse.Namespace) -> Mix:
    return Mix(**{name: getattr(arguments, name) for name in SIZES})


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
