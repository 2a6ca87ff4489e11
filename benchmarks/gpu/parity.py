"""Do the GPU's answers agree with FP32? Labels equal on 99.99 %, and no difference but near ties."""

from collections.abc import Sequence

from hanjaserve.build.parity import ArtefactReport
from hanjaserve.build.verify import FP32_FILE, bundle_readings, compare, converter_of, expect, margins_of
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.runners.base import Runner

AGREEMENT, MARGIN = 0.9999, 1e-2


def parity(
    runner: Runner, bundle: Bundle, sentences: Sequence[str], checkpoint: str = ""
) -> dict[str, object]:
    """Run sentences and compare.

    Args:
        runner: Under test.
        bundle: Its bundle.
        sentences: What to convert.
        checkpoint: PyTorch FP32 to compare with; empty for the bundle's FP32 ONNX on the CPU, which was
            compared with PyTorch when the bundle was made.
    """
    if checkpoint:
        from hanjaserve.build.checkpoint import load_checkpoint
        from hanjaserve.build.reference import TorchReference

        reference = TorchReference(load_checkpoint(checkpoint), bundle_readings(bundle)).run
    else:
        from hanjaserve.build.sessions import open_session

        reference = margins_of(open_session(bundle.path(FP32_FILE), threads=0))
    codec = make_codec(bundle)
    expected = expect(bundle, codec, sentences, reference)
    report = compare("gpu", "fp16", runner.run, expected, convert=converter_of(bundle, codec))
    return {
        "reference": "PyTorch FP32" if checkpoint else "FP32 ONNX on the CPU",
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
