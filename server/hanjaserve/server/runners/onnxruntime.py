"""The CPU runner: ONNX Runtime, as many batches at a time as there are cores; and the last resort on a GPU.

Short texts leave little to share out within a batch: two threads take as long for one of 32 code points as
one does, and whenever something else needs a core, they wait for each other. A batch with a core to itself
does neither (docs/decisions/047-cpu-streams.md).

Optional package: onnxruntime-gpu, in place of onnxruntime, with CUDA.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hanjaserve.server.cores import usable_cores
from hanjaserve.server.errors import NotInstalled, RuntimeFault
from hanjaserve.server.shapes import Int32

ONNX_MODEL = "model.fp32.onnx"
INPUT, OUTPUT = "tokens", "candidates"
ERRORS_ONLY = 3
SLOWER_WHEN_FUSED = ["SkipLayerNormFusion"]
"""What ONNX Runtime has vectorised by itself, but not in one: 4 % of the time of the bundled model."""
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def require_gpu_package() -> None:
    """Look, without importing anything, whether the package with CUDA is installed.

    Raises:
        NotInstalled: It is not.
    """
    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        raise _not_installed("onnxruntime-gpu") from None


def _not_installed(package: str) -> NotInstalled:
    return NotInstalled(f"{package} is not installed: pip install {package}, or choose another runner")


class OnnxRunner:
    """Runs an engine graph on the CPU, or by CUDA. See `runners.base.ParallelRunner`.

    Args:
        model_path: The ONNX file.
        threads: How many batches at a time on the CPU, each on one thread; 0 for one per core.
        cuda: Run on a GPU, one batch at a time.

    Raises:
        NotInstalled: ONNX Runtime is not installed.
        RuntimeFault: It does not take the model, or CUDA does not work.
    """

    def __init__(self, model_path: Path, threads: int = 0, *, cuda: bool = False) -> None:
        try:
            import onnxruntime as ort
        except ImportError:
            raise _not_installed("onnxruntime") from None
        provider = CUDA if cuda else CPU
        self.streams = 1 if cuda else threads or usable_cores()
        self.name = f"onnxruntime {ort.__version__}{' CUDA' if cuda else ''}"
        options = ort.SessionOptions()
        # The thread that calls computes.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # A plan for the memory of every shape of batch there is takes more than it saves.
        options.enable_mem_pattern = False
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session: Any = ort.InferenceSession(
                str(model_path), options, providers=[provider], disabled_optimizers=SLOWER_WHEN_FUSED
            )
        except Exception as error:  # the package raises types that it does not export
            raise RuntimeFault(f"ONNX Runtime can't load {model_path.name}: {error}") from error
        # Where CUDA does not work it takes the CPU and says so only in its log.
        if self._session.get_providers()[0] != provider:
            raise RuntimeFault(f"ONNX Runtime can't use {provider} here: look at its log and the driver")

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`."""
        try:
            candidates: Int32 = self._session.run([OUTPUT], {INPUT: tokens})[0]
        except Exception as error:
            raise RuntimeFault(f"ONNX Runtime failed: {error}") from error
        return candidates

    def close(self) -> None:
        """See `Runner.close`."""
        self._session = None
