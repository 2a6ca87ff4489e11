"""Runs an artefact of a bundle the plain way: one file, one session, no ladder.

Why not the server's runners: verification asks whether the file is right, whatever serves it
later.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hanjaserve.build.export import INPUT, OUTPUT
from hanjaserve.server.errors import BuildError
from hanjaserve.server.shapes import Int32

Run = Callable[[Int32], Int32]
"""Int32 [batch, tokens] -> packed candidates int32 [batch, tokens, k]."""


def open_session(path: Path, threads: int) -> Run:
    """A function that runs the .onnx (ONNX Runtime) or .xml (OpenVINO) file at `path`.

    Raises:
        BuildError: the runtime does not take the file.
    """
    try:
        return _openvino(path, threads) if path.suffix == ".xml" else _onnxruntime(path, threads)
    except Exception as error:  # both runtimes raise types of their own
        raise BuildError(f"{path.name} does not load: {error}") from error


def _onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(tokens: Int32) -> Int32:
        candidates: Int32 = session.run([OUTPUT], {INPUT: tokens})[0]
        return candidates

    return run


def _openvino(path: Path, threads: int) -> Run:
    import openvino as ov

    # The hint keeps FP32 arithmetic on machines whose default would be BF16.
    model = ov.Core().compile_model(
        str(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(tokens: Int32) -> Int32:
        # A copy: the next inference reuses the tensor's memory.
        return np.array(model({INPUT: tokens})[OUTPUT], dtype=np.int32)

    return run
