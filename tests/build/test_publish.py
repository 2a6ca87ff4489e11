from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hanjaserve.build import publish as module
from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.fp16 import to_fp16
from hanjaserve.build.publish import BundlePlan, publish
from hanjaserve.build.readings import ReadingTable
from hanjaserve.build.reference import REFERENCE_SENTENCES
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BuildError, ParityError

FILES = {
    "labels.txt",
    "model.cpu.bin",
    "model.cpu.xml",
    "model.fp16.onnx",
    "model.fp32.onnx",
    "reference.json",
    "tokenizer.json",
}


def test_files_and_hashes(small_bundle: Path) -> None:
    listed = json.loads((small_bundle / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert set(listed) == FILES
    assert {path.name for path in small_bundle.iterdir()} == FILES | {"manifest.json"}
    for name, entry in listed.items():
        content = (small_bundle / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)


def test_manifest(small: Checkpoint, small_bundle: Path) -> None:
    manifest = Bundle.open(small_bundle).manifest
    assert (manifest.name, manifest.scheme, manifest.pad_id) == ("small", "word", 1)
    assert (manifest.top_k, manifest.max_tokens) == (4, 512)
    assert not manifest.reading_mask
    assert manifest.metrics["parity"]["onnx fp32"]["differing"] == 0
    assert len(manifest.provenance["checkpoint_sha256"]) == 64
    assert Bundle.open(small_bundle).labels().labels == small.labels


def test_reference_sentences_are_stored_and_some_convert(small_bundle: Path) -> None:
    rows = json.loads((small_bundle / "reference.json").read_text(encoding="utf-8"))
    assert len(rows) > 20
    assert {row["text"] for row in rows} <= set(REFERENCE_SENTENCES)
    assert sum(row["text"] != row["converted"] for row in rows) > 5


def test_the_same_checkpoint_gives_the_same_revision(
    small: Checkpoint, small_bundle: Path, tmp_path: Path
) -> None:
    publish(
        BundlePlan(checkpoint=small, target=tmp_path / "again", name="small", cpu_runtime="openvino")
    )
    revisions = [Bundle.open(p).manifest.revision for p in (small_bundle, tmp_path / "again")]
    assert revisions[0] == revisions[1]


def test_masked_bundle_brings_its_readings(small: Checkpoint, tmp_path: Path) -> None:
    readings = ReadingTable.from_pairs([("首", "수"), ("都", "도"), ("意", "의"), ("思", "사")])
    plan = BundlePlan(checkpoint=small, target=tmp_path / "b", name="masked", readings=readings)
    publish(plan)
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.manifest.reading_mask
    assert "수\t首\n" in bundle.path("readings.tsv").read_text(encoding="utf-8")


def test_onnxruntime_needs_no_cpu_model(small: Checkpoint, tmp_path: Path) -> None:
    plan = BundlePlan(checkpoint=small, target=tmp_path / "b", name="small", cpu_runtime="onnxruntime")
    report = publish(plan)
    assert [r.artefact for r in report.artefacts] == ["onnx fp32", "onnx fp16"]
    assert not (tmp_path / "b" / "model.cpu.xml").exists()


def test_a_disagreeing_artefact_is_not_published(
    small: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(source: Path, target: Path) -> None:
        model = onnx.load(str(source))
        bias = next(c for c in model.graph.initializer if c.name.endswith("classifier.bias"))
        shifted = np.roll(numpy_helper.to_array(bias), 1)
        bias.CopyFrom(numpy_helper.from_array(shifted, bias.name))
        onnx.save_model(to_fp16(model), str(target))

    monkeypatch.setattr(module, "export_fp16", wrong)
    with pytest.raises(ParityError) as caught:
        publish(BundlePlan(checkpoint=small, target=tmp_path / "b", name="small"))
    assert "onnx fp16 disagrees with pytorch" in str(caught.value)
    assert REFERENCE_SENTENCES[0] in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_published_bundle_is_not_overwritten(small: Checkpoint, small_bundle: Path) -> None:
    with pytest.raises(BuildError, match=r"already there .* --replace"):
        publish(BundlePlan(checkpoint=small, target=small_bundle, name="small"))


def test_only_a_bundle_is_replaced(small: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    plan = BundlePlan(checkpoint=small, target=tmp_path / "precious", name="b", replace=True)
    with pytest.raises(BuildError, match="is not a bundle"):
        publish(plan)
    assert (tmp_path / "precious").is_dir()
