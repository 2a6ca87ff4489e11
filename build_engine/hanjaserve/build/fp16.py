"""Makes the strongly typed FP16 graph from the FP32 one, and checks that it is what it claims.

What: weights and matrix products in FP16; LayerNorm, softmax, top-k, the final scores and the
division of integers in FP32; a cast exactly where one meets the other.
Why typed: TensorRT 11 has no precision flags left, the precision must be in the ONNX. Why FP32
there: LayerNorm in FP16 overflows on real checkpoints, and the scores are a promise of the API.
Exporters divide integers as floats, and the numbers of spellings go beyond what FP16 can count (2,048).
ONNX Runtime hides that on a CPU, where it has no FP16 division and drops the casts around its FP32 one.
Why not a converter from a package: docs/decisions/041-fp16-graph.md.
Not: no calibration and no INT8; see cpu.py. No control flow: an engine graph has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from hanjaserve.build.export import check_contract
from hanjaserve.server.errors import BuildError

FP32_OPERATORS = frozenset({"LayerNormalization", "LogSoftmax", "ReduceMean", "ReduceSum", "Softmax", "TopK"})
"""Operators that stay in FP32 wherever they stand."""

FP16_OPERATORS = frozenset({"Gemm", "MatMul"})
"""Where the time goes: these must be in FP16, or the graph is FP16 in name only."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_INTEGERS = (TensorProto.INT32, TensorProto.INT64)
_LARGEST_FP16 = 65504.0


def export_fp16(source: Path, target: Path) -> None:
    """Writes the FP16 graph of the FP32 ONNX file `source`.

    Raises:
        BuildError: a weight does not fit FP16, or the result fails check_fp16.
    """
    model = to_fp16(onnx.load(str(source)))
    check_fp16(model)
    onnx.save_model(model, str(target))


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The FP16 twin of an FP32 engine graph.

    Raises:
        BuildError: a constant does not fit FP16.
    """
    types = value_types(model)
    exact = _score_nodes(model) | _integer_nodes(model, types)
    caster = _Caster(model, types)
    for node in model.graph.node:
        kept = node.op_type in FP32_OPERATORS or node.name in exact or _holds_floats(node)
        caster.add(node, TensorProto.FLOAT if kept else TensorProto.FLOAT16)
    return caster.finish()


def check_fp16(model: onnx.ModelProto) -> None:
    """Walks the graph and asserts its types.

    Raises:
        BuildError: invalid ONNX, other I/O than int32, a matrix product that is not FP16, a
            constant that is not finite, a LayerNorm, softmax, top-k or score computed in
            anything but FP32, or integers that pass through FP16.
    """
    check_contract(model)
    types = value_types(model)
    wrong = [
        f"{node.op_type} {node.name} takes {TensorProto.DataType.Name(types[name])}"
        for node, name, wanted in _promised_inputs(model, types)
        if types[name] != wanted
    ]
    wrong += [f"Cast {node.name} of integers" for node in model.graph.node if _loses_digits(node, types)]
    if wrong:
        raise BuildError("the FP16 graph computes these in the wrong precision: " + "; ".join(wrong[:5]))
    for constant in model.graph.initializer:
        if constant.data_type in _FLOATS and not np.isfinite(numpy_helper.to_array(constant)).all():
            raise BuildError(f"the constant {constant.name!r} of the FP16 graph is not finite")


def value_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every value of the graph, by type inference alone.

    Raises:
        BuildError: inference cannot tell a type, so the graph is not strongly typed.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {c.name: c.data_type for c in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in inferred.node:
        missing = [name for name in node.output if name and not types.get(name)]
        if missing:
            raise BuildError(f"the type of {missing[0]!r} ({node.op_type}) cannot be inferred")
    return types


class _Caster:
    """Rebuilds a graph node by node, each in its precision, casting a value once per precision."""

    def __init__(self, model: onnx.ModelProto, types: dict[str, int]) -> None:
        self._model = model
        self._types = dict(types)
        self._constants = {c.name: c for c in model.graph.initializer}
        self._nodes: list[NodeProto] = []
        self._made: dict[tuple[str, int], str] = {}
        self._used: dict[str, TensorProto] = {}

    def add(self, node: NodeProto, precision: int) -> None:
        """Appends `node`, its floats of `precision`; other values stay as they are."""
        copy = NodeProto()
        copy.CopyFrom(node)
        for position, name in enumerate(node.input):
            copy.input[position] = self._input(name, precision)
        for attribute in copy.attribute:
            if copy.op_type == "Cast" and attribute.name == "to" and attribute.i in _FLOATS:
                attribute.i = precision
        for name in node.output:
            if self._types.get(name) == TensorProto.FLOAT:
                self._types[name] = precision
        self._nodes.append(copy)

    def finish(self) -> onnx.ModelProto:
        """The new model; shapes and types of inner values are left to inference."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(self._nodes)
        model.graph.initializer.extend(self._used.values())
        return model

    def _input(self, name: str, precision: int) -> str:
        if name in self._constants:
            return self._constant(self._constants[name], precision)
        if not name or self._types[name] not in _FLOATS or self._types[name] == precision:
            return name
        key = (name, precision)
        if key not in self._made:
            made = f"{name}_{'fp16' if precision == TensorProto.FLOAT16 else 'fp32'}"
            self._nodes.append(helper.make_node("Cast", [name], [made], name=f"cast_{made}", to=precision))
            self._made[key] = made
        return self._made[key]

    def _constant(self, constant: TensorProto, precision: int) -> str:
        if constant.data_type != TensorProto.FLOAT or precision == TensorProto.FLOAT:
            self._used[constant.name] = constant
            return str(constant.name)
        name = f"{constant.name}_fp16"
        if name not in self._used:
            value = numpy_helper.to_array(constant)
            largest = float(np.abs(value).max(initial=0.0))
            if not largest <= _LARGEST_FP16:
                raise BuildError(
                    f"the constant {constant.name!r} reaches {largest:g}, but FP16 ends at "
                    f"{_LARGEST_FP16:g}: the checkpoint cannot be served in FP16"
                )
            self._used[name] = numpy_helper.from_array(value.astype(np.float16), name)
        return name


def _holds_floats(node: NodeProto) -> bool:
    """Whether a constant sits in the node itself (as in Constant): its output is FP32."""
    return any(attribute.t.data_type == TensorProto.FLOAT for attribute in node.attribute)


def _score_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """Names of everything from the last top-k, that of the candidates, to the packed output."""
    searches = [node for node in model.graph.node if node.op_type == "TopK"]
    if not searches:
        raise BuildError("the graph has no TopK: it is not an engine graph of this project")
    reached = set(searches[-1].output)
    names = set()
    for node in model.graph.node:  # in topological order, as ONNX demands
        if reached.intersection(node.input):
            reached.update(node.output)
            names.add(node.name)
    return frozenset(names)


def _integer_nodes(model: onnx.ModelProto, types: dict[str, int]) -> frozenset[str]:
    """Names of what computes with integers as floats: casts of them, and what takes only those."""
    constants = {constant.name for constant in model.graph.initializer}
    values: set[str] = set()
    names = set()
    for node in model.graph.node:  # in topological order, as ONNX demands
        floats = {name for name in node.input if name and types[name] in _FLOATS} - constants
        if floats <= values if floats else _casts_integers(node, types):
            values.update(node.output)
            names.add(node.name)
    return frozenset(names)


def _casts_integers(node: NodeProto, types: dict[str, int]) -> bool:
    return node.op_type == "Cast" and types[node.input[0]] in _INTEGERS and types[node.output[0]] in _FLOATS


def _loses_digits(node: NodeProto, types: dict[str, int]) -> bool:
    """Whether it casts integers to FP16 or back."""
    if node.op_type != "Cast":
        return False
    ends = {types[node.input[0]], types[node.output[0]]}
    return TensorProto.FLOAT16 in ends and not ends.isdisjoint(_INTEGERS)


def _promised_inputs(model: onnx.ModelProto, types: dict[str, int]) -> Iterator[tuple[NodeProto, str, int]]:
    """(node, input, wanted type) for every float input whose precision is promised."""
    scores = _score_nodes(model)
    for node in model.graph.node:
        if node.op_type in FP16_OPERATORS:
            wanted = TensorProto.FLOAT16
        elif node.op_type in FP32_OPERATORS or node.name in scores:
            wanted = TensorProto.FLOAT
        else:
            continue
        for name in node.input:
            if name and types[name] in _FLOATS:
                yield node, name, wanted
