"""The CPU runner: OpenVINO, one infer request, all threads on one batch."""

import openvino as ov

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.shapes import Int32


class OpenVinoRunner:
    """Runs model.cpu.xml."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        compiled = ov.Core().compile_model(str(bundle.path("model.cpu.xml")), "CPU", options)
        self._request = compiled.create_infer_request()
        self.name = f"openvino {ov.__version__.split('-')[0]}"

    def run(self, tokens: Int32) -> Int32:
        """See Runner; the result is a copy, valid for as long as the caller likes."""
        results = self._request.infer({"tokens": tokens}, share_inputs=True)
        output: Int32 = results["candidates"]
        return output.copy()

    def close(self) -> None:
        """Nothing to free before the object goes."""
