from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from test_export import batch  # type: ignore[import-not-found]

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.fp16 import check_fp16, export_fp16, to_fp16, value_types
from hanjaserve.build.reference import TorchReference
from hanjaserve.build.sessions import open_session
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import BuildError


@pytest.fixture(scope="module")
def fp16(small_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fp16") / "model.fp16.onnx"
    export_fp16(small_onnx, target)
    return target


def test_precision_of_every_operator(fp16: Path) -> None:
    model = onnx.load(str(fp16))
    types = value_types(model)
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax", "TopK"):
            assert types[node.input[0]] == types[node.output[0]] == TensorProto.FLOAT
        if node.op_type in ("MatMul", "Gelu"):
            assert types[node.output[0]] == TensorProto.FLOAT16
    outputs = [value.type.tensor_type.elem_type for value in model.graph.output]
    inputs = [value.type.tensor_type.elem_type for value in model.graph.input]
    assert inputs == outputs == [TensorProto.INT32]


def test_half_the_size(small_onnx: Path, fp16: Path) -> None:
    assert fp16.stat().st_size < 0.6 * small_onnx.stat().st_size


def test_agrees_with_pytorch(small: Checkpoint, fp16: Path) -> None:
    tokens = batch(small, 24, 3, 40)
    got = open_session(fp16, threads=1)(tokens)[..., 0]
    answer = TorchReference(small).run(tokens)
    differs = (got >> 16 != answer.candidates[..., 0] >> 16) & (tokens != small.pad_id)
    assert (answer.margins[differs] < 1e-2).all()
    assert differs.mean() < 0.01


class GatherElements(OpRun):  # type: ignore[misc]
    """The package's own takes no index that is shorter than the data."""

    op_domain = ""

    def _run(self, data: NDArray[Any], indices: NDArray[Any], axis: int) -> tuple[NDArray[Any]]:
        return (np.take_along_axis(data, indices, axis),)


def test_the_bundled_graph_is_right_where_fp16_is_fp16() -> None:
    # ONNX Runtime's CPU has few FP16 kernels, and computes in FP32 what stands between two casts.
    bundle = Bundle.open(default_bundle_path())
    texts = ["대한민국의 수도는 서울특별시이다.", "국제연합 안전보장이사회", "그 의사는 의사를 밝혔다."]
    tokens = np.zeros((len(texts), 24), np.int32)
    for row, [window] in zip(tokens, make_codec(bundle).encode(texts, "modern"), strict=True):
        row[: len(window.tokens)] = window.tokens
    half = onnx.load(str(bundle.path("model.fp16.onnx")))
    got = ReferenceEvaluator(half, new_ops=[GatherElements]).run(None, {"tokens": tokens})[0]
    expected = open_session(bundle.path("model.fp32.onnx"), threads=1)(tokens)
    assert (got[..., 0] >> 16 == expected[..., 0] >> 16)[tokens != 0].all()


def test_integers_stay_out_of_fp16() -> None:
    # 48 to the power of 3 is beyond FP16, and so is what it divides.
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["tokens"], ["number"], "number", to=TensorProto.FLOAT),
            helper.make_node("Div", ["number", "power"], ["ratio"], "ratio"),
            helper.make_node("TopK", ["ratio", "one"], ["best", "where"], "best"),
            helper.make_node("Cast", ["best"], ["flat"], "flat", to=TensorProto.INT32),
            helper.make_node("Unsqueeze", ["flat", "minus"], ["candidates"], "candidates"),
        ],
        "division",
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, ["batch", "tokens"])],
        [helper.make_tensor_value_info("candidates", TensorProto.INT32, ["batch", 1, 1])],
        [
            numpy_helper.from_array(np.array(48.0**3, np.float32), "power"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([-1]), "minus"),
        ],
    )
    half = to_fp16(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    tokens = np.array([[48**4 - 1, 0]], np.int32)
    assert ReferenceEvaluator(half).run(None, {"tokens": tokens})[0].item() == 47


def test_check_notices_integers_in_fp16(fp16: Path) -> None:
    model = onnx.load(str(fp16))
    model.graph.node.append(helper.make_node("Cast", ["tokens"], ["half"], "half", to=TensorProto.FLOAT16))
    with pytest.raises(BuildError, match="wrong precision: Cast half of integers"):
        check_fp16(model)


def test_a_cast_is_made_once_per_value_and_precision(fp16: Path) -> None:
    casts = [
        (node.input[0], node.attribute[0].i)
        for node in onnx.load(str(fp16)).graph.node
        if node.op_type == "Cast" and node.name.startswith("cast_")
    ]
    assert len(casts) == len(set(casts))


@pytest.mark.parametrize("operator", ["LayerNormalization", "Softmax", "TopK", "MatMul"])
def test_check_notices_a_wrong_precision(small_onnx: Path, fp16: Path, operator: str) -> None:
    # Flips the operator's float inputs to the other precision, casting back behind it.
    model = onnx.load(str(fp16))
    types = value_types(model)
    number, node = next((n, node) for n, node in enumerate(model.graph.node) if node.op_type == operator)
    other = TensorProto.FLOAT if operator == "MatMul" else TensorProto.FLOAT16
    before, after = [], []
    for position, name in enumerate(node.input):
        if types[name] in (TensorProto.FLOAT, TensorProto.FLOAT16):
            before.append(onnx.helper.make_node("Cast", [name], [f"{name}_x"], to=other))
            node.input[position] = f"{name}_x"
    for position, name in enumerate(node.output):
        if types[name] in (TensorProto.FLOAT, TensorProto.FLOAT16):
            after.append(onnx.helper.make_node("Cast", [f"{name}_x"], [name], to=types[name]))
            node.output[position] = f"{name}_x"
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:number], *before, nodes[number], *after, *nodes[number + 1 :]])
    with pytest.raises(BuildError, match=f"wrong precision: {operator}"):
        check_fp16(model)


def test_the_fp32_graph_is_no_fp16_graph(small_onnx: Path) -> None:
    with pytest.raises(BuildError, match=r"MatMul .* takes FLOAT"):
        check_fp16(onnx.load(str(small_onnx)))


def test_a_weight_beyond_fp16_is_named(small_onnx: Path) -> None:
    model = onnx.load(str(small_onnx))
    weight = next(c for c in model.graph.initializer if c.name.endswith("classifier.bias"))
    value = np.array(numpy_helper.to_array(weight))
    value[3] = 1e5
    weight.CopyFrom(numpy_helper.from_array(value, weight.name))
    with pytest.raises(BuildError, match=r"classifier\.bias' reaches 100000"):
        to_fp16(model)
