"""OpenVINO: the other CPU runner, for bundles that were built for it. Optional package: openvino.

Takes the bundle's own CPU model where it has one, else the FP32 ONNX, which OpenVINO reads directly.
Arithmetic is FP32 on every machine: without the hint, CPUs with BF16 units would round differently
from the machine that the model was verified on.
"""

import sys
from queue import LifoQueue
from typing import Any

import numpy as np

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.cores import usable_cores
from hanjaserve.server.errors import NotInstalled, RuntimeFault
from hanjaserve.server.shapes import Int32

CPU_MODEL, ONNX_MODEL = "model.cpu.xml", "model.fp32.onnx"
INPUT, OUTPUT = "tokens", "candidates"


class OpenVinoRunner:
    """Runs an engine graph on the CPU. See `runners.base.ParallelRunner`.

    Args:
        bundle: What to run.
        threads: How many batches at a time, each on one thread; 0 for one per core.

    Raises:
        NotInstalled: OpenVINO is not installed.
        BundleError: The bundle has no model.
        RuntimeFault: OpenVINO does not take it.
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        # Importing it starts a process (by fork, with gRPC's threads running) that reports the use to
        # its makers. Without the package that does so, it goes on without.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        # 100 ms and 60 MB that only the process which runs it should spend.
        try:
            import openvino as ov
        except ImportError:
            raise NotInstalled(
                "openvino is not installed: pip install openvino, or choose another runner"
            ) from None

        has_own = CPU_MODEL in bundle.manifest.files
        path = bundle.path(CPU_MODEL if has_own else ONNX_MODEL)
        self.streams = threads or usable_cores()
        options = {
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.streams,
            "INFERENCE_PRECISION_HINT": "f32",
            # Other processes use these cores, too.
            "ENABLE_CPU_PINNING": False,
        }
        self.name = f"openvino {ov.__version__.split('-')[0]}"
        self._tensor: Any = ov.Tensor
        try:
            core = ov.Core()
            compiled = core.compile_model(_with_fp32_tables(core.read_model(str(path))), "CPU", options)
            # The one that was used last has its memory in the caches.
            self._idle: LifoQueue[Any] = LifoQueue()
            for _ in range(self.streams):
                self._idle.put(compiled.create_infer_request())
        except Exception as error:  # OpenVINO raises plain RuntimeErrors
            raise RuntimeFault(f"OpenVINO can't load {path.name}: {_brief(error)}") from error

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`."""
        request = self._idle.get()
        try:
            # Without a copy: the array outlives the inference, and nobody writes to it.
            request.infer({INPUT: self._tensor(tokens, shared_memory=True)})
            # A copy: the next inference reuses the tensor's memory.
            return np.array(request.get_tensor(OUTPUT).data, dtype=np.int32)
        except Exception as error:
            raise RuntimeFault(f"OpenVINO failed: {_brief(error)}") from error
        finally:
            self._idle.put(request)

    def close(self) -> None:
        """See `Runner.close`."""
        self._idle = LifoQueue()


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
