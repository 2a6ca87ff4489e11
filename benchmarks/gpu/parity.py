"""Do the GPU's answers agree with FP32? Labels equal on 99.99 %, and no difference but near ties."""

from collections.abc import Sequence

from hanjaserve.build.parity import ArtefactReport
from hanjaserve.build.verify import FP32_FILE, bundle_readings, compare, converter_of, expect, margins_of
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.runners.base import Runner

AGREEMENT, MARGIN = 0.9999, 1e-2


class Reference:
    """FP32's answers to some sentences, computed once.

    Args:
        bundle: Whose model.
        sentences: What to convert.
        checkpoint: PyTorch FP32 to compare with; empty for the bundle's FP32 ONNX on the CPU, which was
            compared with PyTorch when the bundle was made.
    """

    def __init__(self, bundle: Bundle, sentences: Sequence[str], checkpoint: str = "") -> None:
        self.name = "PyTorch FP32" if checkpoint else "FP32 ONNX on the CPU"
        if checkpoint:
            from hanjaserve.build.checkpoint import load_checkpoint
            from hanjaserve.build.reference import TorchReference

            answer = TorchReference(load_checkpoint(checkpoint), bundle_readings(bundle)).run
        else:
            from hanjaserve.build.sessions import open_session

            answer = margins_of(open_session(bundle.path(FP32_FILE), threads=0))
        codec = make_codec(bundle)
        self._expected = expect(bundle, codec, sentences, answer)
        self._convert = converter_of(bundle, codec)

    def parity(self, runner: Runner) -> dict[str, object]:
        """Run the sentences and compare."""
        report = compare("gpu", "fp16", runner.run, self._expected, convert=self._convert)
        return {
            "reference": self.name,
            "sentences": report.sentences,
            "units": report.units,
            "differing": report.differing,
            "agreement": report.agreement,
            "largest_margin": report.largest_margin,
            "passed": passed(report),
        }


def passed(report: ArtefactReport) -> bool:
    """Whether both bounds hold."""
    return report.agreement >= AGREEMENT and report.largest_margin < MARGIN
