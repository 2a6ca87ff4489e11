"""Makes a bundle of a checkpoint: export, compile, verify, and only then publish.

What: everything is written into a temporary folder beside the target, verified there, and
renamed. A bundle that disagrees with its checkpoint is never seen at the target.
Why beside the target: a rename is atomic only within one file system.
Not: it does not serve, train or measure accuracy.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from hanjaserve.build.checkpoint import Checkpoint, write_tokenizer
from hanjaserve.build.cpu import CpuPrecision, export_cpu
from hanjaserve.build.engine_graph import build_graph
from hanjaserve.build.export import export_fp32
from hanjaserve.build.fp16 import export_fp16
from hanjaserve.build.parity import ParityReport
from hanjaserve.build.readings import ReadingTable, is_hangul
from hanjaserve.build.reference import REFERENCE_SENTENCES, TorchReference
from hanjaserve.build.sessions import open_session
from hanjaserve.build.verify import (
    CPU_FILE,
    FP16_FILE,
    FP32_FILE,
    READINGS_FILE,
    STYLE,
    artefacts_of,
    converter_of,
    expect,
    outputs_of,
    verify_bundle,
)
from hanjaserve.server.bundle import Bundle, write_manifest
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import BuildError
from hanjaserve.server.shapes import TOP_K
from hanjaserve.server.words import WORDS

_CONTEXT_TOKENS = 64
_REFERENCE_FILE = "reference.json"
_PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundlePlan:
    """What bundle to make.

    Attributes:
        checkpoint: from load_checkpoint.
        target: the folder to publish at.
        name: the bundle's name, shown by GetServerInfo.
        readings: turns the reading mask of a word-scheme bundle on; None leaves it off.
        cpu_runtime: which runtime serves on a CPU; "onnxruntime" takes the FP32 ONNX, "openvino" a model
            of its own.
        cpu_precision: of the OpenVINO model.
        sentences: to verify with, and to calibrate int8 with.
        replace: a bundle that is already at the target makes way.
        threads: for verification.
    """

    checkpoint: Checkpoint
    target: Path
    name: str
    readings: ReadingTable | None = None
    cpu_runtime: Literal["onnxruntime", "openvino"] = "onnxruntime"
    cpu_precision: CpuPrecision = "fp16"
    sentences: Sequence[str] = REFERENCE_SENTENCES
    replace: bool = False
    threads: int = 1


def publish(plan: BundlePlan) -> ParityReport:
    """Makes, verifies and publishes a bundle.

    Raises:
        BuildError: a step failed, or something is at the target that may not be replaced.
        ParityError: an artefact disagrees with the checkpoint; nothing was published.
    """
    _check_target(plan)
    plan.target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{plan.target.name}.", dir=plan.target.parent) as top:
        folder = Path(top) / "bundle"
        folder.mkdir()
        report = _make(plan, folder)
        report.require()
        if plan.target.exists():
            plan.target.rename(Path(top) / "replaced")
        folder.rename(plan.target)
    return report


def _make(plan: BundlePlan, folder: Path) -> ParityReport:
    checkpoint = plan.checkpoint
    _write_tables(plan, folder)
    graph = build_graph(checkpoint, plan.readings)
    export_fp32(graph, checkpoint.max_tokens, folder / FP32_FILE)
    export_fp16(folder / FP32_FILE, folder / FP16_FILE)
    # The codec that the server will use needs a manifest; this one is replaced at the end.
    _write_manifest(plan, folder, cpu_runtime="onnxruntime", metrics={})
    if plan.cpu_runtime == "openvino":
        codec = make_codec(Bundle.open(folder))
        windows = [w.tokens for found in codec.encode(list(plan.sentences), STYLE) for w in found]
        export_cpu(folder / FP32_FILE, folder / CPU_FILE, plan.cpu_precision, windows)
    # Twice, as the hashes must be right when the reference asks every artefact.
    _write_manifest(plan, folder, cpu_runtime=plan.cpu_runtime, metrics={})
    _write_reference(plan, folder)
    _write_manifest(plan, folder, cpu_runtime=plan.cpu_runtime, metrics={})
    report = verify_bundle(folder, plan.sentences, checkpoint, threads=plan.threads)
    metrics = {**_json_of(checkpoint.path / "metrics.json"), "parity": _parity_metrics(report)}
    _write_manifest(plan, folder, cpu_runtime=plan.cpu_runtime, metrics=metrics)
    return report


def _write_tables(plan: BundlePlan, folder: Path) -> None:
    checkpoint = plan.checkpoint
    content = "".join(f"{label}\n" for label in checkpoint.labels)
    (folder / "labels.txt").write_text(content, encoding="utf-8", newline="\n")
    if checkpoint.scheme == "syllable":
        shutil.copyfile(checkpoint.path / READINGS_FILE, folder / READINGS_FILE)
        if (checkpoint.path / WORDS).is_file():
            shutil.copyfile(checkpoint.path / WORDS, folder / WORDS)
    else:
        write_tokenizer(checkpoint, folder / "tokenizer.json")
        if plan.readings is not None:
            hanja = {char for label in checkpoint.labels[1:] for char in label}
            plan.readings.save(folder / READINGS_FILE, sorted(c for c in hanja if not is_hangul(c)))
    licences = checkpoint.path / "licences"
    if licences.is_dir():
        shutil.copytree(licences, folder / "licences")
    # Bundles always have one; what it says comes once the codec can be opened.
    _write_json(folder / _REFERENCE_FILE, [])


def _write_reference(plan: BundlePlan, folder: Path) -> None:
    """Stores what the PyTorch checkpoint makes of this project's own sentences.

    A sentence on which an artefact differs is left out: verification decides whether it may, and a
    runner's self-test, which asks for equal texts, would take the near tie for a fault.
    """
    bundle = Bundle.open(folder, verify=False)
    codec = make_codec(bundle)
    reference = TorchReference(plan.checkpoint, plan.readings)
    expected = expect(bundle, codec, REFERENCE_SENTENCES, reference.run)
    convert = converter_of(bundle, codec)
    texts = [
        convert(*answer)
        for answer in zip(expected.sentences, expected.windows, expected.candidates, strict=True)
    ]
    same = set(range(len(texts)))
    for _, _, file in artefacts_of(bundle):
        session = open_session(bundle.path(file), plan.threads)
        found = outputs_of(session, expected)
        for number, answer in enumerate(zip(expected.sentences, expected.windows, found, strict=True)):
            if convert(*answer) != texts[number]:
                same.discard(number)
    rows = [{"text": REFERENCE_SENTENCES[number], "converted": texts[number]} for number in sorted(same)]
    _write_json(folder / _REFERENCE_FILE, rows)


def _write_manifest(plan: BundlePlan, folder: Path, *, cpu_runtime: str, metrics: Mapping[str, Any]) -> None:
    checkpoint = plan.checkpoint
    weights = checkpoint.path / "model.safetensors"
    provenance = {
        **_json_of(checkpoint.path / "provenance.json"),
        "checkpoint": checkpoint.name,
        "cpu_precision": plan.cpu_precision,
        "versions": _versions(),
    }
    if weights.is_file():
        provenance["checkpoint_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    write_manifest(
        folder,
        name=plan.name,
        scheme=checkpoint.scheme,
        reading_mask=checkpoint.scheme == "syllable" or plan.readings is not None,
        top_k=TOP_K,
        max_tokens=checkpoint.max_tokens,
        context_tokens=min(_CONTEXT_TOKENS, checkpoint.max_tokens // 4),
        pad_id=checkpoint.pad_id,
        styles=dict(checkpoint.styles),
        cpu_runtime=cpu_runtime,
        metrics=dict(metrics),
        provenance=provenance,
    )


def _parity_metrics(report: ParityReport) -> dict[str, Any]:
    return {
        r.artefact: {
            "sentences": r.sentences,
            "units": r.units,
            "differing": r.differing,
            "largest_margin": r.largest_margin,
        }
        for r in report.artefacts
    }


def _check_target(plan: BundlePlan) -> None:
    if not plan.target.exists():
        return
    if not plan.replace:
        raise BuildError(
            f"{plan.target} is already there and a published bundle is never changed: choose "
            "another --out, or say --replace"
        )
    if not (plan.target / "manifest.json").is_file():
        raise BuildError(
            f"{plan.target} is not a bundle (no manifest.json), so --replace leaves it alone: "
            "choose another --out"
        )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _json_of(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise BuildError(f"{path} must hold a JSON object")
    return content


def _write_json(path: Path, content: Sequence[Mapping[str, str]]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
