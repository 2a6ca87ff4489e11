from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from syllable_model import READINGS, tiny_model, tiny_tables

from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.cpu import export_cpu
from hanjaserve.build.engine_check import check_graph
from hanjaserve.build.fp16 import value_types
from hanjaserve.build.publish import BundlePlan, publish
from hanjaserve.build.reference import REFERENCE_SENTENCES
from hanjaserve.build.sessions import open_session
from hanjaserve.build.train import save_tables
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.converter import LocalConverter
from hanjaserve.server.runners.flavours import open_flavour


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables = tiny_tables()
    model = tiny_model(tables)
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
    assert converted > 15


def test_matrix_products_are_fp16(bundle: Bundle) -> None:
    model = onnx.load(str(bundle.path("model.fp16.onnx")))
    types = value_types(model)
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert products
    assert {types[name] for node in products for name in node.input} == {onnx.TensorProto.FLOAT16}


def test_tensorrt_compiles_it(bundle: Bundle) -> None:
    pytest.importorskip("tensorrt_rtx")
    rtx = open_flavour("tensorrt-rtx")
    lines: list[str] = []
    path = bundle.path("model.fp16.onnx")
    check_graph("tiny", path, 32, rtx, targets=("8.9",), say=lines.append)
    assert "SM89" in lines[1]


def test_int8_takes_texts_of_every_length(bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    rows = [np.array([1, *[ord("수") + n for n in range(length)]], np.int32) for length in range(5, 45)]
    export_cpu(bundle.path("model.fp32.onnx"), tmp_path / "model.xml", "int8", rows)
    run = open_session(tmp_path / "model.xml", threads=1)
    for row in (rows[0], rows[30], rows[5]):
        assert run(row[None]).shape[:2] == (1, len(row))
