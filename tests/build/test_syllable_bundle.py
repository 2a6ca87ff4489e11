from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.data.tables import Tables
from hanjaserve.build.fp16 import value_types
from hanjaserve.build.model.assemble import assemble
from hanjaserve.build.publish import BundlePlan, publish
from hanjaserve.build.reference import REFERENCE_SENTENCES
from hanjaserve.build.train import save_tables
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.converter import LocalConverter

READINGS = {
    "수": "首水數",
    "도": "都道圖",
    "의": "意醫議",
    "사": "思師事",
    "회": "會",
    "법": "法",
    "원": "院",
}
WORDS = {"수도": ["首都", "水道"], "의사": ["醫師", "意思"], "회의": ["會議"], "법원": ["法院"]}


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    characters = sorted({char for sentence in REFERENCE_SENTENCES for char in sentence})
    char_id = np.zeros(0x10000, np.int32)
    char_id[[ord(char) for char in characters]] = np.arange(1, len(characters) + 1)
    tables = Tables(
        labels=["", *dict.fromkeys("".join(READINGS.values()))],
        slots={s: {h: n for n, h in enumerate(found, 1)} for s, found in READINGS.items()},
        spellings=WORDS,
        char_id=char_id,
        char_vocab_size=len(characters) + 1,
    )
    model = assemble(tables, 7, hidden_size=32, num_hidden_layers=2, label_size=16)
    with torch.no_grad():
        # Far from the ties of an untrained model, and dependent on context.
        for weight in (model.hanja.weight, model.char.weight, model.query.weight):
            weight.normal_(0.0, 0.7, generator=torch.Generator().manual_seed(3))
    folder = tmp_path_factory.mktemp("syllable") / "checkpoint"
    model.save_pretrained(folder)
    save_tables(tables, folder)
    (folder / "licences").mkdir()
    (folder / "licences" / "lexicon.txt").write_text("BSD-3-Clause\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    target = tmp_path_factory.mktemp("syllable") / "bundle"
    checkpoint = load_checkpoint(str(checkpoint_folder))
    report = publish(BundlePlan(checkpoint=checkpoint, target=target, name="tiny"))
    assert report.artefacts[0].units > 300
    return Bundle.open(target)


def test_manifest(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.scheme, manifest.reading_mask, manifest.pad_id) == ("syllable", True, 0)
    assert manifest.styles["modern"] == 1
    assert "licences/lexicon.txt" in manifest.files


def test_every_syllable_keeps_its_reading(bundle: Bundle) -> None:
    with LocalConverter.open(bundle.root, threads=1) as converter:
        conversions = converter.convert_batch(list(REFERENCE_SENTENCES))
    converted = 0
    for text, conversion in zip(REFERENCE_SENTENCES, conversions, strict=True):
        assert len(conversion.text) == len(text)
        for before, after in zip(text, conversion.text, strict=True):
            if before != after:
                assert after in READINGS[before]
                converted += 1
    assert converted > 20


def test_matrix_products_are_fp16(bundle: Bundle) -> None:
    model = onnx.load(str(bundle.path("model.fp16.onnx")))
    types = value_types(model)
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert products
    assert {types[name] for node in products for name in node.input} == {onnx.TensorProto.FLOAT16}
