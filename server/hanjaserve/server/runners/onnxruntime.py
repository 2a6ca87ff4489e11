"""The other CPU runner: ONNX Runtime, for models that it runs faster. An optional package."""

from pathlib import Path
from typing import Any

from hanjaserve.server.errors import ConfigError, RuntimeFault
from hanjaserve.server.shapes import Int32

ONNX_MODEL = "model.fp32.onnx"
INPUT, OUTPUT = "tokens", "candidates"
ERRORS_ONLY = 3


class OnnxRunner:
    """Runs an engine graph on the CPU. See `runners.base.Runner`.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        RuntimeFault: It does not take the model.
    """

    def __init__(self, model_path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime as ort
        except ImportError:
            raise ConfigError(
                "the runner onnxruntime needs a package that is not installed: "
                "pip install onnxruntime, or choose another runner"
            ) from None
        self.name = f"onnxruntime {ort.__version__}"
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session: Any = ort.InferenceSession(
                str(model_path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the package raises types that it does not export
            raise RuntimeFault(f"ONNX Runtime can't load {model_path.name}: {error}") from error

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
