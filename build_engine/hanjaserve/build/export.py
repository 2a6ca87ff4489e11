"""Exports an engine graph to ONNX in FP32.

What: torch's exporter, then a clean-up: stack traces and other notes of the exporter leave, table
look-ups become Gather, equal constants are stored once, and the result is checked. Names, types
and dynamic shapes are fixed here.
Why the clean-up: the notes hold paths of the machine that exported, which would make equal
checkpoints give different bundles (a bundle is named by its content), and cost space.
Not: no precision is changed; see fp16.py and cpu.py.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from hanjaserve.build.engine_graph import EngineGraph
from hanjaserve.server.errors import BuildError

INPUT = "tokens"
OUTPUT = "candidates"
OPSET = 20
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
_LARGEST_MODEL_BYTES = 2**31 - 2**20
"""One protobuf message holds 2 GiB; a token classifier beyond that is not what this serves."""


def export_fp32(graph: EngineGraph, max_tokens: int, target: Path) -> None:
    """Writes `graph` as an ONNX file that every runner takes.

    Args:
        graph: from build_graph.
        max_tokens: longest row, the upper bound of the dynamic axis.
        target: the file to write.

    Raises:
        BuildError: the graph cannot be exported, or breaks the contract of the engine graph.
    """
    model = _clean(_export(graph, max_tokens))
    check_contract(model)
    onnx.save_model(model, str(target))


def check_contract(model: onnx.ModelProto) -> None:
    """Checks what every runner relies on.

    Raises:
        BuildError: not valid ONNX, an operator outside the standard set, or other inputs and
            outputs than int32 `tokens` [batch, tokens] and int32 `candidates` [batch, tokens, k].
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildError(f"the exported graph is not valid ONNX: {error}") from error
    foreign = sorted({n.domain for n in model.graph.node} - _STANDARD_DOMAINS)
    if foreign or model.functions:
        raise BuildError(
            f"the exported graph uses operators of {foreign or 'its own functions'}; only standard "
            "ONNX operators run in every runner"
        )
    for value, name, rank in ((model.graph.input, INPUT, 2), (model.graph.output, OUTPUT, 3)):
        found = [(v.name, v.type.tensor_type.elem_type, _dynamic(v)) for v in value]
        wanted = [(name, onnx.TensorProto.INT32, (True, True, False)[:rank])]
        if found != wanted:
            raise BuildError(
                f"the exported graph has {found}, but the contract is int32 {name!r} with dynamic "
                "batch and tokens"
            )


def _export(graph: EngineGraph, max_tokens: int) -> onnx.ModelProto:
    # Two rows of 16: sizes 0 and 1 would be taken for constants.
    example = torch.full((2, 16), 9, dtype=torch.int32)
    shapes = {
        INPUT: {
            0: torch.export.Dim("batch", min=1, max=65_536),
            1: torch.export.Dim("tokens", min=1, max=max_tokens),
        }
    }
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own internals
            program: Any = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=shapes,
                verbose=False,
            )
    except Exception as error:  # the exporter raises types of its own and of torch
        raise BuildError(f"torch cannot export the checkpoint to ONNX: {error}") from error
    finally:
        exporter_log.setLevel(level)
    proto: onnx.ModelProto = program.model_proto
    return proto


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    model.producer_name, model.producer_version = "hanjaserve", ""
    del model.metadata_props[:]
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    graph.name = "hanjaserve"
    _look_up_by_gather(model)
    _share_equal_constants(model)
    if model.ByteSize() > _LARGEST_MODEL_BYTES:
        raise BuildError(
            f"the exported graph is {model.ByteSize():,} bytes, over the limit of "
            f"{_LARGEST_MODEL_BYTES:,}: use a smaller model"
        )
    return model


def _look_up_by_gather(model: onnx.ModelProto) -> None:
    """Replaces GatherND over single indices, which table[tensor] exports to, by Gather.

    The exporter gives GatherND the int32 indices that it has, but the standard allows only int64; and
    Gather is what every runtime is quick at.
    """
    graph = model.graph
    axes = {c.name: onnx.numpy_helper.to_array(c).tolist() for c in graph.initializer if c.dims == [1]}
    widened = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Unsqueeze" and axes.get(node.input[1]) == [-1]
    }
    for node in graph.node:
        batched = any(a.name == "batch_dims" and a.i for a in node.attribute)
        if node.op_type == "GatherND" and not batched and node.input[1] in widened:
            table, index = node.input[0], widened[node.input[1]]
            node.CopyFrom(
                onnx.helper.make_node("Gather", [table, index], node.output, name=node.name, axis=0)
            )
    used = {name for node in graph.node for name in node.input}
    kept = [node for node in graph.node if node.output[0] not in widened or node.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)


def _share_equal_constants(model: onnx.ModelProto) -> None:
    """Stores equal initializers once; a tied embedding or a mask table is otherwise there twice."""
    graph = model.graph
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    kept = []
    for constant in graph.initializer:
        value = onnx.numpy_helper.to_array(constant)
        key = (constant.data_type, value.shape, np.ascontiguousarray(value).tobytes())
        name = first.setdefault(key, constant.name)
        if name == constant.name:
            kept.append(constant)
        else:
            same[constant.name] = name
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = same.get(name, name)
    described = [v for v in graph.value_info if v.name not in same]
    del graph.value_info[:]
    graph.value_info.extend(described)


def _dynamic(value: onnx.ValueInfoProto) -> tuple[bool, ...]:
    return tuple(not d.HasField("dim_value") for d in value.type.tensor_type.shape.dim)
