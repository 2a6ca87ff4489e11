from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.engine_graph import EngineGraph, build_graph, token_surfaces
from hanjaserve.build.export import check_contract, export_fp32
from hanjaserve.build.readings import ReadingTable
from hanjaserve.build.reference import TorchReference
from hanjaserve.build.sessions import open_session
from hanjaserve.server.errors import BuildError
from hanjaserve.server.shapes import pad

READINGS = ReadingTable.from_pairs(
    [("首", "수"), ("都", "도"), ("水", "수"), ("道", "도"), ("意", "의"), ("思", "사")]
)


def batch(small: Checkpoint, *lengths: int) -> np.ndarray:
    random = np.random.default_rng(5)
    vocabulary = len(token_surfaces(small))
    rows = [random.integers(5, vocabulary, n).astype(np.int32) for n in lengths]
    return pad(rows, small.pad_id)


def real(small: Checkpoint, candidates: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    found: np.ndarray = candidates[tokens != small.pad_id]
    return found


@pytest.mark.parametrize("lengths", [(1,), (7,), (24, 3, 11), (40,) * 5, (509,)])
def test_every_shape_gives_the_reference_answer(
    small: Checkpoint, small_onnx: Path, lengths: tuple[int, ...]
) -> None:
    tokens = batch(small, *lengths)
    got = real(small, open_session(small_onnx, threads=1)(tokens), tokens)
    expected = real(small, TorchReference(small).run(tokens).candidates, tokens)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got[:, 0] >> 16, expected[:, 0] >> 16)
    assert np.abs((got & 0xFFFF) - (expected & 0xFFFF)).max() <= 2


def test_best_first_and_packed(small: Checkpoint, small_onnx: Path) -> None:
    candidates = open_session(small_onnx, threads=1)(batch(small, 30))
    scores = candidates & 0xFFFF
    assert (np.diff(scores, axis=-1) <= 0).all()
    assert (candidates[scores == 0] == 0).all()
    assert (candidates >> 16).max() < len(small.labels)


def test_padding_changes_nothing(small: Checkpoint, small_onnx: Path) -> None:
    run = open_session(small_onnx, threads=1)
    row = batch(small, 8)
    padded = np.concatenate([row, np.full((1, 56), small.pad_id, np.int32)], axis=1)
    np.testing.assert_array_equal(run(padded)[:, :8] >> 16, run(row) >> 16)


def test_reading_mask_allows_nothing_else(small: Checkpoint, tmp_path: Path) -> None:
    export_fp32(build_graph(small, READINGS), small.max_tokens, tmp_path / "m.onnx")
    surfaces = token_surfaces(small)
    numbers = {surface: n for n, surface in enumerate(surfaces)}
    row = np.array([[0, numbers["수도"], numbers["의사"], numbers["대"], 2]], dtype=np.int32)
    candidates = open_session(tmp_path / "m.onnx", threads=1)(row)
    labels = {
        surfaces[token]: {small.labels[c >> 16] for c in found if c & 0xFFFF}
        for token, found in zip(row[0], candidates[0], strict=True)
    }
    assert labels["수도"] <= {"[UNK]", "首都", "水道"}
    assert labels["의사"] <= {"[UNK]", "意思"}
    assert labels["대"] == {"[UNK]"}
    expected = TorchReference(small, READINGS).run(row).candidates
    np.testing.assert_array_equal(candidates[..., 0] >> 16, expected[..., 0] >> 16)


def test_the_same_checkpoint_gives_the_same_bytes(
    small: Checkpoint, small_onnx: Path, tmp_path: Path
) -> None:
    export_fp32(build_graph(small), small.max_tokens, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == small_onnx.read_bytes()


def test_no_paths_and_no_equal_constants(small_onnx: Path) -> None:
    content = small_onnx.read_bytes()
    assert b".py" not in content
    constants = [
        (c.data_type, tuple(c.dims), onnx.numpy_helper.to_array(c).tobytes())
        for c in onnx.load(str(small_onnx)).graph.initializer
    ]
    assert len(constants) == len(set(constants))


def test_only_standard_operators_and_none_that_tensorrt_lacks(small_onnx: Path) -> None:
    nodes = onnx.load(str(small_onnx)).graph.node
    assert {node.domain for node in nodes} <= {"", "ai.onnx"}
    assert not {"CumSum", "IsNaN", "NonZero", "GatherND"} & {node.op_type for node in nodes}


def test_table_look_ups_are_gathers(tmp_path: Path) -> None:
    class LookUp(torch.nn.Module):
        next: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("next", torch.arange(1, 301, dtype=torch.int32) % 300)

        def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, None]:
            after = self.next[self.next[tokens]]  # int32 indices
            return torch.nn.functional.one_hot(after.long(), 300) * 20.0, None

    export_fp32(EngineGraph(LookUp()), 512, tmp_path / "m.onnx")
    operators = [node.op_type for node in onnx.load(str(tmp_path / "m.onnx")).graph.node]
    assert operators.count("Gather") == 2 and "GatherND" not in operators
    candidates = open_session(tmp_path / "m.onnx", threads=1)(np.array([[1, 7, 299]], np.int32))
    assert (candidates[0, :, 0] >> 16).tolist() == [3, 9, 1]


def identity(elem_type: int, shape: list[object], domain: str = "") -> onnx.ModelProto:
    node = helper.make_node("Identity", ["tokens"], ["candidates"], name="n", domain=domain)
    tokens = helper.make_tensor_value_info("tokens", elem_type, shape)
    candidates = helper.make_tensor_value_info("candidates", elem_type, shape)
    graph = helper.make_graph([node], "g", [tokens], [candidates])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (identity(TensorProto.INT64, ["batch", "tokens"]), "int32 'tokens'"),
        (identity(TensorProto.INT32, [1, "tokens"]), "dynamic"),
        (identity(TensorProto.INT32, ["batch", "tokens"]), "the contract"),
        (identity(TensorProto.INT32, ["batch", "tokens"], "com.microsoft"), "com.microsoft"),
    ],
)
def test_contract_is_enforced(model: onnx.ModelProto, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        check_contract(model)


def test_what_torch_cannot_export_is_a_build_error(small: Checkpoint, tmp_path: Path) -> None:
    class Sighted(torch.nn.Module):
        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return tokens if tokens.sum().item() > 3 else -tokens

    with pytest.raises(BuildError, match="cannot export"):
        export_fp32(Sighted(), 512, tmp_path / "m.onnx")  # type: ignore[arg-type]
