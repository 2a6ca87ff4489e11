"""The gate itself: that it passes what is right, and fails on each thing that it promises to fail on."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from hanjaserve.build import engine_check
from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.engine_check import PROOF, WordShape, census, check_engines, check_graph
from hanjaserve.build.engine_graph import build_graph
from hanjaserve.build.export import export_fp32
from hanjaserve.build.fp16 import export_fp16
from hanjaserve.build.readings import ReadingTable
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BuildError
from hanjaserve.server.runners.flavours import open_flavour

pytest.importorskip("tensorrt_rtx")

SMALL = WordShape(
    vocabulary=60, labels=40, hidden_size=16, layers=1, heads=2, intermediate_size=32, max_tokens=64
)


@pytest.fixture(scope="session")
def word_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("word") / "model.fp16.onnx"
    engine_check.export_word_graph(SMALL, path)
    return path


def test_passes_and_says_what_it_proves(
    small_bundle: Path, word_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    shapes: list[WordShape] = []

    def export(shape: WordShape, target: Path) -> None:
        shapes.append(shape)
        target.write_bytes(word_graph.read_bytes())

    monkeypatch.setattr(engine_check, "export_word_graph", export)
    check_engines(Bundle.open(small_bundle), targets=("8.9",), say=lines.append)
    assert shapes == [WordShape()] and shapes[0].labels == 4925
    assert "LayerNormalization" in lines[0] and "SM89" in lines[1] and "4,925 labels" in lines[2]
    assert lines[-1] == PROOF and "not execution" in PROOF


def half_precision(operator: str) -> Callable[[onnx.ModelProto], None]:
    """Moves the casts around the operator, so that it computes in FP16."""

    def edit(model: onnx.ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == operator)
        for position, name in enumerate(list(node.input)):
            cast = helper.make_node(
                "Cast", [name], [f"{name}_half"], to=TensorProto.FLOAT16, name=f"half_{name}"
            )
            model.graph.node.insert(list(model.graph.node).index(node), cast)
            node.input[position] = f"{name}_half"
        out = node.output[0]
        node.output[0] = f"{out}_half"
        back = helper.make_node("Cast", [f"{out}_half"], [out], to=TensorProto.FLOAT, name="back")
        model.graph.node.insert(list(model.graph.node).index(node) + 1, back)

    return edit


def foreign_operator(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Gelu" or node.op_type == "Erf")
    node.domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def more_candidates(model: onnx.ModelProto) -> None:
    twice = NodeProto()
    twice.CopyFrom(helper.make_node("Concat", ["few", "few"], ["candidates"], axis=2, name="twice"))
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            if name == "candidates":
                node.output[position] = "few"
    model.graph.node.append(twice)
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 8


def no_softmax(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Softmax":
            del node.attribute[:]
            node.op_type = "Sigmoid"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (half_precision("LayerNormalization"), "LayerNormalization .* takes FLOAT16"),
        (half_precision("Softmax"), "Softmax .* takes FLOAT16"),
        (foreign_operator, "com.microsoft"),
        (more_candidates, "32 bytes per token, but at most 16"),
        (no_softmax, r"not found at all: \['Softmax'\]"),
    ],
)
def test_each_promise_can_be_broken(
    word_graph: Path, tmp_path: Path, edit: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = onnx.load(str(word_graph))
    edit(model)
    onnx.save(model, str(tmp_path / "broken.onnx"))
    rtx = open_flavour("tensorrt-rtx")
    with pytest.raises(BuildError, match=f"broken: .*{message}"):
        check_graph("broken", tmp_path / "broken.onnx", 64, rtx, targets=("8.9",), say=print)


def test_masked_word_graph_compiles(small: Checkpoint, tmp_path: Path) -> None:
    readings = ReadingTable.from_pairs([("首", "수"), ("都", "도"), ("水", "수"), ("道", "도")])
    export_fp32(build_graph(small, readings), small.max_tokens, tmp_path / "fp32.onnx")
    export_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    rtx = open_flavour("tensorrt-rtx")
    check_graph("masked", tmp_path / "fp16.onnx", 32, rtx, targets=("8.9",), say=print)


def test_census_counts(word_graph: Path) -> None:
    assert "3 LayerNormalization, 2 Softmax in FP32" in census(onnx.load(str(word_graph)))
