"""The two models that are measured: a bundle, and one of the reference's shape with weights from a seed.

The second computes nonsense, with near ties everywhere, so nothing but its speed is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.texts import Mix
from hanjaserve.build.engine_check import WordShape, export_word_graph, word_graph
from hanjaserve.server.bundle import Bundle, write_manifest
from hanjaserve.server.codec import make_codec
from hanjaserve.server.options import DEFAULT_STYLE
from hanjaserve.server.shapes import TOP_K, Int32

SEED = 11
FIRST_TOKEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model and what it is fed.

    Attributes:
        name: In the result.
        bundle: With its FP16 and FP32 graphs.
        rows: int32 [tokens] each, in the lengths of real text.
        meaningful: Its answers mean something, so parity can be looked at.
        flops: Floating-point operations per token in a row of so many tokens; None if not known.
        module: Makes the PyTorch module of the engine graph; None where there is no checkpoint.
    """

    name: str
    bundle: Bundle
    rows: Sequence[Int32]
    meaningful: bool
    flops: Callable[[int], float] | None = None
    module: Callable[[], Any] | None = None


def bundle_subject(bundle: Bundle, mix: Mix) -> Subject:
    """A bundle, fed with texts."""
    encoded = make_codec(bundle).encode(list(mix.texts), DEFAULT_STYLE)
    rows = [window.tokens for windows in encoded for window in windows]
    return Subject(name=bundle.manifest.name, bundle=bundle, rows=rows, meaningful=True)


def reference_subject(folder: Path, lengths: Sequence[int], shape: WordShape) -> Subject:
    """The reference's shape, fed with random tokens in rows of these lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    export_word_graph(shape, folder / "model.fp16.onnx")
    labels = [f"label{number}" for number in range(1, shape.labels)]
    (folder / "labels.txt").write_text("\n".join(["", *labels]) + "\n", "utf-8")
    write_manifest(
        folder, name="reference-shape", scheme="syllable", reading_mask=False, top_k=TOP_K,
        max_tokens=shape.max_tokens, context_tokens=0, pad_id=1, styles={"modern": 2},
        cpu_runtime="onnxruntime", metrics={}, provenance={"weights": "from a seed"},
    )  # fmt: skip
    chance = np.random.default_rng(SEED)
    rows = [chance.integers(FIRST_TOKEN, shape.vocabulary, length, dtype=np.int32) for length in lengths]
    return Subject(
        name="reference-shape",
        bundle=Bundle.open(folder),
        rows=rows,
        meaningful=False,
        flops=lambda tokens: flops_per_token(shape, tokens),
        module=lambda: word_graph(shape),
    )


def flops_per_token(shape: WordShape, tokens: int) -> float:
    """Operations of the matrix products of one token in a row of so many.

    Example:
        >>> round(flops_per_token(WordShape(), 64) / 1e6, 1)
        93.7
    """
    per_layer = 8 * shape.hidden_size**2 + 4 * shape.hidden_size * shape.intermediate_size
    attention = 4 * tokens * shape.hidden_size
    return shape.layers * (per_layer + attention) + 2 * shape.hidden_size * shape.labels
