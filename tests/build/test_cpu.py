from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from test_export import batch  # type: ignore[import-not-found]

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.cpu import CPU_PRECISIONS, CpuPrecision, export_cpu
from hanjaserve.build.engine_graph import EngineGraph
from hanjaserve.build.export import export_fp32
from hanjaserve.build.reference import TorchReference
from hanjaserve.build.sessions import open_session
from hanjaserve.server.errors import BuildError

LIMITS = {"fp32": (1e-3, 0.0), "fp16": (1e-2, 0.01), "int8": (1.0, 0.2)}


def windows(small: Checkpoint) -> list[np.ndarray]:
    return [batch(small, length)[0, :length] for length in range(5, 45)]


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_every_precision(
    small: Checkpoint, small_onnx: Path, tmp_path: Path, precision: CpuPrecision
) -> None:
    if precision == "int8":
        pytest.importorskip("nncf")
    target = tmp_path / "model.cpu.xml"
    export_cpu(small_onnx, target, precision, windows(small))
    tokens = batch(small, 24, 3, 40)
    got = open_session(target, threads=1)(tokens)[..., 0]
    answer = TorchReference(small).run(tokens)
    differs = (got >> 16 != answer.candidates[..., 0] >> 16) & (tokens != small.pad_id)
    margin, share = LIMITS[precision]
    assert (answer.margins[differs] < margin).all()
    assert differs.mean() <= share


def test_one_model_takes_every_shape(small: Checkpoint, small_onnx: Path, tmp_path: Path) -> None:
    export_cpu(small_onnx, tmp_path / "m.xml", "fp16")
    run = open_session(tmp_path / "m.xml", threads=1)
    for lengths in [(1,), (512,), (8,) * 33]:
        tokens = batch(small, *lengths)
        assert run(tokens).shape == (*tokens.shape, 4)


def test_packing_keeps_all_bits(tmp_path: Path) -> None:
    # Labels beyond 256 with sure scores need more than the 24 bits of an FP32 mantissa.
    class Sure(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, None]:
            hot = torch.nn.functional.one_hot(tokens.long(), 32_767).to(torch.float32)
            return hot * 20 - 10, None

    export_fp32(EngineGraph(Sure()), 512, tmp_path / "m.onnx")
    export_cpu(tmp_path / "m.onnx", tmp_path / "m.xml", "fp32")
    tokens = np.array([[1, 255, 256, 257, 4924, 8191, 30_001, 32_766]], dtype=np.int32)
    for name in ("m.onnx", "m.xml"):
        best = open_session(tmp_path / name, threads=1)(tokens)[..., 0]
        np.testing.assert_array_equal(best >> 16, tokens)
        assert (best & 0xFFFF > 65_000).all()


def test_the_same_model_gives_the_same_bytes(small_onnx: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_cpu(small_onnx, tmp_path / f"{name}.xml", "fp16")
    for suffix in (".xml", ".bin"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path) not in (tmp_path / "a.xml").read_text(encoding="utf-8")


def test_int8_wants_sentences(small: Checkpoint, small_onnx: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"at least 32 windows .* got 5"):
        export_cpu(small_onnx, tmp_path / "m.xml", "int8", windows(small)[:5])


def test_what_is_no_model_is_a_build_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    level = logging.getLogger().level
    with pytest.raises(BuildError, match=r"OpenVINO cannot convert m\.onnx"):
        export_cpu(tmp_path / "m.onnx", tmp_path / "m.xml", "fp32")
    assert logging.getLogger().level == level, "the converter silenced the process's own log"
