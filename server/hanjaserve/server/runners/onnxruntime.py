"""The other CPU runner: ONNX Runtime on the FP32 ONNX; an optional package."""

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.shapes import Int32


class OnnxRunner:
    """Runs model.fp32.onnx."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise ConfigError(
                "the onnxruntime runner needs the package onnxruntime: pip install onnxruntime"
            ) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(bundle.path("model.fp32.onnx"))
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.name = f"onnxruntime {ort.__version__}"

    def run(self, tokens: Int32) -> Int32:
        """See Runner."""
        output: Int32 = self._session.run(["candidates"], {"tokens": tokens})[0]
        return output

    def close(self) -> None:
        """Nothing to free before the object goes."""
