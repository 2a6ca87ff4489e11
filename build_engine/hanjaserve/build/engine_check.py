"""The compile gate, on every machine: does TensorRT take the FP16 graphs? `make engine-check`.

What: the graph of a bundle and one shaped like the reference (KLUE-RoBERTa-small, 4,925 labels, weights
from a seed) must keep the FP16 contract, and TensorRT for RTX must parse and build them, for a given target
and for none. That flavour needs no GPU to build.
Not: it runs nothing. It proves compilation, not execution; `make gpu-check` is for machines with a GPU.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto

from hanjaserve.build.fp16 import check_fp16, value_types
from hanjaserve.build.plan_builder import build_plan
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import BuildError
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.flavours import Flavour, open_flavour
from hanjaserve.server.runners.plans import ANY, FP16_MODEL, PlanSpec, builder_flags

if TYPE_CHECKING:
    from hanjaserve.build.engine_graph import EngineGraph

TARGETS = ("8.9", ANY)
"""Ada (L4, L40S, GeForce 40), and whatever TensorRT for RTX knows."""
FP32_ONLY = ("LayerNormalization", "Softmax")
PROOF = "This proves compilation, not execution: no GPU has run these plans. On a GPU, run `make gpu-check`."


@dataclass(frozen=True, slots=True, kw_only=True)
class WordShape:
    """The reference's shape, by default."""

    vocabulary: int = 32_000
    labels: int = 4_925
    hidden_size: int = 768
    layers: int = 6
    heads: int = 12
    intermediate_size: int = 3_072
    max_tokens: int = 512


def check_engines(
    bundle: Bundle,
    *,
    shape: WordShape = WordShape(),
    targets: Sequence[str] = TARGETS,
    say: Callable[[str], None],
) -> None:
    """Check a bundle's graph and a reference-shaped one.

    Raises:
        ConfigError: TensorRT for RTX is not installed.
        BuildError: Says which graph fails, and why.
    """
    flavour = open_flavour("tensorrt-rtx")
    with tempfile.TemporaryDirectory() as folder:
        word = Path(folder) / FP16_MODEL
        export_word_graph(shape, word)
        graphs = (
            (f"bundle {bundle.manifest.name} {bundle.manifest.revision}", bundle.path(FP16_MODEL)),
            (f"reference shape, {shape.labels:,} labels", word),
        )
        for name, path in graphs:
            check_graph(name, path, bundle.manifest.max_tokens, flavour, targets=targets, say=say)
    say(PROOF)


def check_graph(
    name: str,
    path: Path,
    max_tokens: int,
    flavour: Flavour,
    *,
    targets: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Check one FP16 graph and build it for every target.

    Raises:
        BuildError: It breaks the contract, or TensorRT refuses it.
    """
    try:
        model = onnx.load(str(path))
        say(f"{name}: {census(model)}")
        for target in targets:
            started = time.monotonic()
            spec = _spec(flavour, target, max_tokens)
            plan = build_plan(flavour, path.read_bytes(), spec).plan
            where = "no target" if target == ANY else f"SM{target.replace('.', '')}"
            seconds = time.monotonic() - started
            say(f"  {flavour.name} {flavour.version}, {where}: {len(plan) / 1e6:.0f} MB in {seconds:.0f} s")
    except BuildError as error:
        raise BuildError(f"{name}: {error}") from error


def census(model: onnx.ModelProto) -> str:
    """Check the contract of an FP16 graph, and tell what was found.

    Raises:
        BuildError: It is broken, or there is no LayerNorm or softmax that could be checked.
    """
    check_fp16(model)
    types = value_types(model)
    counts = Counter(node.op_type for node in model.graph.node)
    half = [
        node.name
        for node in model.graph.node
        if node.op_type in FP32_ONLY and types[node.input[0]] != TensorProto.FLOAT
    ]
    missing = [operator for operator in FP32_ONLY if not counts[operator]]
    if half or missing:
        raise BuildError(f"not in FP32: {half[:5]}; not found at all: {missing}")
    kept = ", ".join(f"{counts[operator]} {operator}" for operator in FP32_ONLY)
    return f"{sum(counts.values())} standard operators, {kept} in FP32"


def export_word_graph(shape: WordShape, target: Path) -> None:
    """Write the FP16 graph of `word_graph` and, beside it, the FP32 one."""
    from hanjaserve.build.export import export_fp32
    from hanjaserve.build.fp16 import export_fp16

    source = target.with_name("model.fp32.onnx")
    export_fp32(word_graph(shape), shape.max_tokens, source)
    export_fp16(source, target)


def word_graph(shape: WordShape) -> EngineGraph:
    """The engine graph of a RoBERTa token classifier with weights from a seed."""
    import torch
    from transformers import RobertaConfig, RobertaForTokenClassification

    from hanjaserve.build.engine_graph import EngineGraph, WordScorer

    config = RobertaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_tokens + 2,
        type_vocab_size=1,
        pad_token_id=1,
        num_labels=shape.labels,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    scorer = WordScorer(RobertaForTokenClassification(config).eval(), pad_id=1, offset_positions=True)
    return EngineGraph(scorer).eval()


def _spec(flavour: Flavour, compute: str, max_tokens: int) -> PlanSpec:
    buckets = BucketTable.for_model(max_tokens)
    return PlanSpec(
        onnx_sha256="",  # never cached
        flavour=flavour.name,
        version=flavour.version,
        device=ANY,
        compute=compute,
        lengths=buckets.lengths,
        max_batch_tokens=buckets.max_batch_tokens,
        lanes=1,  # the profiles of a second lane are the same again
        flags=builder_flags(flavour),
    )
