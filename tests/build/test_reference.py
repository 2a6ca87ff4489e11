"""A checkpoint shaped like the reference, through export, bundle and converter, against transformers.

The oracle is what a user of the reference runs: the token-classification pipeline without
aggregation, and the walk that puts each entity in the place of its span.
"""

from __future__ import annotations

import csv
import json
import lzma
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
from word_checkpoint import Shape, save_like_reference, save_small  # type: ignore[import-not-found]

from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.publish import BundlePlan, publish
from hanjaserve.build.reference import REFERENCE_SENTENCES
from hanjaserve.server.converter import LocalConverter, Options

VERSES = 1000
QUICK = Shape(hidden_size=256, intermediate_size=512, keep_bias=20.0)
FULL = Shape(
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=6,
    num_attention_heads=12,
    keep_bias=16.0,
)


def data_folder() -> Path:
    stated = os.environ.get("HANJASERVE_DATA")
    return Path(stated) if stated else Path(__file__).parents[3] / "shared" / "data"


def seed_folder() -> Path:
    stated = os.environ.get("HANJASERVE_SEED")
    return Path(stated) if stated else data_folder().parent / "seed"


def verses() -> list[str]:
    """Verses of the Bible where it is, else sentences put together from words of our own."""
    for name in ("bible.tsv.xz", "bible.tsv"):
        path = data_folder() / name
        if path.is_file():
            opener = lzma.open if path.suffix == ".xz" else open
            with opener(path, "rt", encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                every = [row["hangul"] for row in rows]
            return random.Random(3).sample(every, VERSES)
    return list(generated())


def generated() -> Iterator[str]:
    chance = random.Random(3)
    words = sorted({word for sentence in REFERENCE_SENTENCES for word in sentence.split()})
    for _ in range(VERSES):
        yield " ".join(chance.choices(words, k=chance.randint(1, 30)))


def replace_spans(text: str, entities: Sequence[dict[str, Any]]) -> str:
    """Puts each entity in the place of its span; [UNK] leaves it.

    Example:
        >>> replace_spans("수도는", [{"entity": "首都", "start": 0, "end": 2}])
        '首都는'
    """
    parts, last_end = [], 0
    for entity in entities:
        parts.append(text[last_end : entity["start"]])
        kept = entity["entity"] == "[UNK]"
        parts.append(text[entity["start"] : entity["end"]] if kept else entity["entity"])
        last_end = entity["end"]
    return "".join([*parts, text[last_end:]])


def oracle(folder: Path, texts: Sequence[str]) -> list[str]:
    model = AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classify = pipeline(
            "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="none"
        )
        return [replace_spans(text, classify(text)) for text in texts]


def served(folder: Path, target: Path, texts: Sequence[str]) -> list[str]:
    checkpoint = load_checkpoint(str(folder))
    plan = BundlePlan(checkpoint=checkpoint, target=target, name="ref", cpu_precision="fp32")
    publish(plan)
    with LocalConverter.open(target, threads=1) as converter:
        return [c.text for c in converter.convert_batch(list(texts), Options())]


def assert_same(expected: Sequence[str], got: Sequence[str], texts: Sequence[str]) -> None:
    differing = [
        f"{text!r}: transformers {theirs!r}, hanjaserve {ours!r}"
        for text, theirs, ours in zip(texts, expected, got, strict=True)
        if theirs != ours
    ]
    assert not differing, f"{len(differing)} of {len(texts)} differ, first {differing[0]}"
    assert sum(text != theirs for text, theirs in zip(texts, expected, strict=True)) > VERSES // 2


def test_labels_of_the_seed_are_those_of_its_table() -> None:
    seed = seed_folder()
    if not seed.is_dir():
        pytest.skip(f"no reference configuration at {seed}: set HANJASERVE_SEED")
    config = json.loads((seed / "config.json").read_text(encoding="utf-8"))
    with (seed / "labels_to_hanja_words.csv").open(encoding="utf-8", newline="") as file:
        table = {row["key"]: row["value"] for row in csv.DictReader(file)}
    assert config["id2label"] == table


@pytest.mark.timeout(300)
def test_verses_convert_as_in_transformers(tmp_path: Path) -> None:
    texts = verses()
    if (seed_folder() / "tokenizer.json").is_file():
        folder = save_like_reference(tmp_path / "checkpoint", seed_folder(), QUICK)
    else:
        folder = save_small(tmp_path / "checkpoint", [*texts, *REFERENCE_SENTENCES])
    expected = oracle(folder, texts)
    assert_same(expected, served(folder, tmp_path / "bundle", texts), texts)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_full_shape_converts_as_in_transformers(tmp_path: Path) -> None:
    seed = seed_folder()
    if not (seed / "tokenizer.json").is_file():
        pytest.skip(f"no reference tokenizer at {seed}: set HANJASERVE_SEED")
    folder = save_like_reference(tmp_path / "checkpoint", seed, FULL)
    texts = verses()
    expected = oracle(folder, texts)
    assert_same(expected, served(folder, tmp_path / "bundle", texts), texts)
