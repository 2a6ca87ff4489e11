"""The CPU runner: OpenVINO, one stream, one batch at a time.

Takes the bundle's own CPU model where it has one, else the FP32 ONNX, which OpenVINO reads directly.
Arithmetic is FP32 on every machine: without the hint, CPUs with BF16 units would round differently
from the machine that the model was verified on.
"""

import sys
from typing import Any

import numpy as np

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.shapes import Int32

CPU_MODEL, ONNX_MODEL = "model.cpu.xml", "model.fp32.onnx"
INPUT, OUTPUT = "tokens", "candidates"


class OpenVinoRunner:
    """Runs an engine graph on the CPU. See `runners.base.Runner`.

    Raises:
        BundleError: The bundle has no model.
        RuntimeFault: OpenVINO does not take it.
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        # Importing it starts a process (by fork, with gRPC's threads running) that reports the use to
        # its makers. Without the package that does so, it goes on without.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        # 100 ms and 60 MB that only the process which runs it should spend.
        import openvino as ov

        has_own = CPU_MODEL in bundle.manifest.files
        path = bundle.path(CPU_MODEL if has_own else ONNX_MODEL)
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self.name = f"openvino {ov.__version__.split('-')[0]}"
        self._tensor: Any = ov.Tensor
        try:
            core = ov.Core()
            compiled = core.compile_model(_with_fp32_tables(core.read_model(str(path))), "CPU", options)
            self._request: Any = compiled.create_infer_request()
        except Exception as error:  # OpenVINO raises plain RuntimeErrors
            raise RuntimeFault(f"OpenVINO can't load {path.name}: {_brief(error)}") from error

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`."""
        try:
            # Without a copy: the array outlives the inference, and nobody writes to it.
            self._request.infer({INPUT: self._tensor(tokens, shared_memory=True)})
        except Exception as error:
            raise RuntimeFault(f"OpenVINO failed: {_brief(error)}") from error
        # A copy: the next inference reuses the tensor's memory.
        return np.array(self._request.get_tensor(OUTPUT).data, dtype=np.int32)

    def close(self) -> None:
        """See `Runner.close`."""
        self._request = None


def _with_fp32_tables(model: Any) -> Any:
    """Unpack the weights that are stored in FP16, once, here.

    OpenVINO does so by itself for matrices, but looks embeddings up in FP16 with code that is not optimised:
    a twentieth of the time of the bundled model.
    """
    from openvino import opset13

    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "Convert":
            continue
        source = operation.input_value(0).get_node()
        if source.get_type_name() == "Constant" and source.data.dtype == np.float16:
            unpacked = opset13.constant(source.data.astype(np.float32))
            for target in operation.output(0).get_target_inputs():
                target.replace_source_output(unpacked.output(0))
    return model


def _brief(error: Exception) -> str:
    """The last line of an OpenVINO message, which says what happened; the others say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
