"""`python -m benchmarks.runtimes`: the bundled model on OpenVINO and on ONNX Runtime, in FP32 and in INT8.

Every runtime gets the same batches, in turns (A B C D, A B C D …), so that a noisy minute hits all of
them. Labels are compared with those of ONNX Runtime in FP32: a faster runtime that answers otherwise is
no gain. docs/decisions/045-cpu-runtime.md has what came of it. All threads work on one batch, unlike in the
server (047-cpu-streams.md), whose own runner is measured last.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.raw import BATCH_TOKENS, Raw, pack
from benchmarks.report import environment
from benchmarks.texts import load_mix
from hanjaserve.build.cpu import export_cpu
from hanjaserve.build.sessions import Run, open_session
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.shapes import Int32

SYLLABLES = 32
TEXTS = 2048


@dataclass(slots=True, kw_only=True)
class Runtime:
    """One way to run the model.

    Attributes:
        run: int32 [batch, tokens] -> packed candidates int32 [batch, tokens, k].
        texts_per_s: of each turn.
        differing: share of the real tokens whose label is not that of the first runtime.
    """

    name: str
    run: Run
    texts_per_s: list[float] = field(default_factory=list)
    differing: float = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, write the JSON; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    arguments = parser.parse_args(argv)
    bundle, mix = Bundle.open(arguments.bundle), load_mix()
    texts = sentences(mix.texts)
    windows = [w.tokens for part in make_codec(bundle).encode(texts, "modern") for w in part]
    batches = pack(windows, BATCH_TOKENS, bundle.manifest.pad_id)
    with tempfile.TemporaryDirectory() as folder:
        runtimes = open_runtimes(bundle, windows, arguments.threads, Path(folder))
        compare(runtimes, batches, len(texts), bundle.manifest.pad_id, arguments.rounds)
    rows = [_row(runtime.name, runtime.texts_per_s, runtime.differing) for runtime in runtimes]
    rows.append(as_served(arguments.bundle, texts, arguments.threads, arguments.rounds))
    print(f"{len(texts)} texts of {SYLLABLES} code points ({mix.source}), {arguments.threads} threads")
    for row in rows:
        print(f"{row['name']:28}{row['texts_per_s']:8.0f} texts/s   differing {row['differing']:.5f}")
    result = {
        "kind": "runtimes",
        "environment": environment(("nncf",)),
        "threads": arguments.threads,
        "texts": {"count": len(texts), "code_points": SYLLABLES, "source": mix.source},
        "model": {"name": bundle.manifest.name, "revision": bundle.manifest.revision},
        "runtimes": rows,
    }
    results = Path(__file__).parent / "results"
    path = arguments.out or results / f"runtimes-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def sentences(texts: Sequence[str]) -> list[str]:
    """TEXTS pieces of the mix, each of SYLLABLES code points."""
    running = "".join(f"{text} " for text in texts)
    running *= -(-TEXTS * SYLLABLES // len(running))
    return [running[n * SYLLABLES :][:SYLLABLES] for n in range(TEXTS)]


def open_runtimes(bundle: Bundle, windows: Sequence[Int32], threads: int, folder: Path) -> list[Runtime]:
    """ONNX Runtime and OpenVINO, each in FP32 and quantised to INT8; the quantised files lie in `folder`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = bundle.path("model.fp32.onnx")
    dynamic, plain, static = folder / "int8.onnx", folder / "fp32.xml", folder / "int8.xml"
    quantize_dynamic(source, dynamic, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])
    export_cpu(source, plain, "fp32")
    # Other texts than those that are measured would be better; these favour INT8, if anything.
    export_cpu(source, static, "int8", windows[:: max(1, len(windows) // 300)])
    files = {
        "ONNX Runtime FP32": source,
        "ONNX Runtime INT8, dynamic": dynamic,
        "OpenVINO FP32": plain,
        "OpenVINO INT8, calibrated": static,
    }
    return [Runtime(name=name, run=open_session(path, threads)) for name, path in files.items()]


def compare(
    runtimes: Sequence[Runtime], batches: Sequence[Int32], texts: int, pad_id: int, rounds: int
) -> None:
    """Warm up, compare the labels, then measure in turns."""
    expected = _labels(runtimes[0].run, batches, pad_id)
    for runtime in runtimes[1:]:
        runtime.differing = float((_labels(runtime.run, batches, pad_id) != expected).mean())
    for _ in range(rounds):
        for runtime in runtimes:
            started = time.perf_counter()
            for batch in batches:
                runtime.run(batch)
            runtime.texts_per_s.append(texts / (time.perf_counter() - started))


def as_served(bundle: Path, texts: Sequence[str], threads: int, rounds: int) -> dict[str, object]:
    """The server's own runner, a batch on each core."""
    raw = Raw(bundle, texts, threads=threads)
    try:
        return _row("as it is served", [raw.measure(2.0).texts_per_s for _ in range(rounds)])
    finally:
        raw.close()


def _labels(run: Run, batches: Sequence[Int32], pad_id: int) -> NDArray[np.int32]:
    return np.concatenate([(run(batch)[..., 0] >> 16)[batch != pad_id] for batch in batches])


def _row(name: str, texts_per_s: Sequence[float], differing: float = 0.0) -> dict[str, object]:
    return {
        "name": name,
        "texts_per_s": round(statistics.median(texts_per_s), 1),
        "each": [round(value, 1) for value in texts_per_s],
        "differing": round(differing, 6),
    }


if __name__ == "__main__":
    raise SystemExit(main())
