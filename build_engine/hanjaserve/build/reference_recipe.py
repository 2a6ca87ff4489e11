"""The recipe of the reference: an encoder that is fine-tuned for labels of whole WordPiece tokens.

roberta-small-hangul-2-hanja is klue/roberta-small after 150 epochs on the Bible, with the Trainer of
transformers and the hyperparameters that its card states; they are the defaults here. The label of a token is
what its span becomes, `[UNK]` where it stays. What comes out is a checkpoint as the reference's: `hanjaserve
build bundle` takes it, and README.md has the card's table, a line per epoch.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hanjaserve.build.data import sources
from hanjaserve.build.reference_metric import KEEP, compare, token_labels
from hanjaserve.server.errors import BuildError

IGNORED = -100
"""The label that PyTorch's loss leaves out: that of [CLS] and [SEP]."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceConfig:
    """Hyperparameters; the defaults are the card's."""

    encoder: str = "klue/roberta-small"
    epochs: float = 150
    batch_size: int = 64
    learning_rate: float = 2e-5
    seed: int = 42
    longest: int = 512


def train_reference(train: Pairs, dev: Pairs, config: ReferenceConfig, folder: Path) -> None:
    """Fine-tunes the encoder, resuming from the last epoch in `folder` when there is one.

    Args:
        train: (hangul, mixed) of equal length.
        dev: the same, measured after each epoch.
        config: how.
        folder: gets the checkpoint, the tokenizer, and the model card with a line per epoch.

    Raises:
        BuildError: The encoder is neither a folder nor to be had from the hub.
    """
    from transformers import AutoTokenizer, DataCollatorForTokenClassification, Trainer
    from transformers.trainer_utils import get_last_checkpoint

    tokenizer = _from_pretrained(AutoTokenizer, config.encoder)
    labels = label_table(train, tokenizer)
    trainer = Trainer(
        model=_model(config.encoder, labels),
        args=_arguments(config, folder),
        train_dataset=list(_examples(train, labels, tokenizer, config.longest)),
        eval_dataset=list(_examples(dev, labels, tokenizer, config.longest)),
        data_collator=DataCollatorForTokenClassification(tokenizer),
        processing_class=tokenizer,
        compute_metrics=lambda predicted: _metrics(labels, predicted),
        # Scores of 4,500 labels for every token of the dev split would be gigabytes.
        preprocess_logits_for_metrics=lambda scores, _: scores.argmax(-1),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)))
    trainer.save_model(str(folder))
    trainer.create_model_card(model_name=folder.name, finetuned_from=config.encoder)


def label_table(pairs: Iterable[tuple[str, str]], tokenizer: Any) -> list[str]:
    """The labels of training text, `[UNK]` first, then in order of appearance."""
    found = dict.fromkeys([KEEP])
    for hangul, mixed in pairs:
        found.update(dict.fromkeys(token_labels(tokenizer.backend_tokenizer, hangul, mixed)))
    return list(found)


def _examples(
    pairs: Pairs, labels: Sequence[str], tokenizer: Any, longest: int
) -> Iterator[dict[str, list[int]]]:
    """Token ids and label ids of every sentence; a label that training text lacks is `[UNK]`."""
    number = {label: n for n, label in enumerate(labels)}
    for hangul, mixed in pairs:
        found = token_labels(tokenizer.backend_tokenizer, hangul, mixed)
        ids = tokenizer(hangul, truncation=True, max_length=longest)["input_ids"]
        inner = [number.get(label, 0) for label in found][: len(ids) - 2]
        yield {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": [IGNORED, *inner, IGNORED],
        }


def _metrics(labels: Sequence[str], predicted: Any) -> dict[str, float]:
    """The card's figures from label ids int [sentences, tokens]."""
    gold_ids: NDArray[np.int64] = predicted.label_ids
    gold, found = [], []
    for expected, given in zip(gold_ids, predicted.predictions, strict=True):
        inside = expected != IGNORED
        gold.append([labels[n] for n in expected[inside]])
        found.append([labels[n] for n in given[inside]])
    figures = compare(gold, found)
    return {name: getattr(figures, name) for name in ("accuracy", "f1", "precision", "recall")}


def _model(encoder: str, labels: Sequence[str]) -> Any:
    from transformers import AutoModelForTokenClassification

    return _from_pretrained(
        AutoModelForTokenClassification,
        encoder,
        id2label=dict(enumerate(labels)),
        label2id={label: n for n, label in enumerate(labels)},
        ignore_mismatched_sizes=True,
    )


def _arguments(config: ReferenceConfig, folder: Path) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        seed=config.seed,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=on_gpu,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=2,
        report_to=[],
    )


def _from_pretrained(loader: Any, source: str, **settings: Any) -> Any:
    try:
        return loader.from_pretrained(source, **settings)
    except (OSError, ValueError) as error:
        raise BuildError(f"no encoder {source}: give a local folder or a hub name ({error})") from error


CARD = ReferenceConfig()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `hanjaserve train reference`."""
    shown = "(default: %(default)s)"
    parser.add_argument("--out", type=Path, default=Path("checkpoints/reference"), help=shown)
    parser.add_argument("--encoder", default=CARD.encoder, help=f"a folder or a hub name {shown}")
    parser.add_argument("--epochs", type=float, default=CARD.epochs, help=shown)
    parser.add_argument("--batch-size", type=int, default=CARD.batch_size, help=shown)
    parser.add_argument(
        "--learning-rate", type=float, default=CARD.learning_rate, metavar="RATE", help=shown
    )
    parser.add_argument("--seed", type=int, default=CARD.seed, help=shown)


def run(arguments: argparse.Namespace) -> int:
    """Trains on the Bible's train split and writes the checkpoint."""
    for name in ("epochs", "batch_size", "learning_rate"):
        if getattr(arguments, name) <= 0:
            flag = name.replace("_", "-")
            raise BuildError(f"--{flag} is {getattr(arguments, name)}: it must be above 0")
    config = ReferenceConfig(
        encoder=arguments.encoder, epochs=arguments.epochs, batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate, seed=arguments.seed,
    )  # fmt: skip
    train_reference(list(sources.bible("train")), list(sources.bible("dev")), config, arguments.out)
    tqdm.write(f"trained: {arguments.out}; its card is {arguments.out / 'README.md'}")
    return 0
