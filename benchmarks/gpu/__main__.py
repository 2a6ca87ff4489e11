"""`make gpu-check`: build, self-test, compare with FP32, measure. Needs an NVIDIA GPU and a TensorRT.

    python -m benchmarks.gpu [--flavour tensorrt-rtx] [--checkpoint DIR] [--sentences 10000] [--seconds 1]

Writes benchmarks/results/gpu-<device>.json. Exit code 0: everything ran and agrees; 1: something ran and does
not agree, or TensorRT does not run here (the rest is measured all the same, under its own name);
3: there is no GPU, and nothing was checked.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load, report
from benchmarks.gpu.contenders import Contender, contenders, matrix_tflops
from benchmarks.gpu.measure import device_rate, latency, runner_rate
from benchmarks.gpu.parity import Reference
from benchmarks.gpu.result import RESULTS, SCHEMA, file_name, table, verdict
from benchmarks.gpu.subjects import Subject, bundle_subject, reference_subject
from benchmarks.raw import pack
from benchmarks.server import ServerFailed, running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import Mix, load_mix
from hanjaserve.build.compile import choose_flavour
from hanjaserve.build.engine_check import WordShape
from hanjaserve.client import Client, RetryPolicy
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.buckets import MAX_BATCH_TOKENS
from hanjaserve.server.runners.cuda import open_cuda
from hanjaserve.server.runners.driver import Device
from hanjaserve.server.runners.selftest import check_runner
from hanjaserve.server.runners.tensorrt import TensorRtRunner
from hanjaserve.server.shapes import pad

PASSED, FAILED, NO_GPU = 0, 1, 3
PACKAGES = ("tensorrt", "tensorrt-rtx-cu13", "cuda-bindings", "torch", "onnxruntime-gpu")
ONE_TEXT_TOKENS = 32
ANY_TOKEN = 5
REFERENCE = WordShape()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        flavour = choose_flavour(arguments.flavour).name
        device = find_device()
    except HanjaserveError as error:
        print(f"gpu-check: {error}; nothing was checked", file=sys.stderr)
        return NO_GPU
    mix = load_mix(count=arguments.sentences)
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundle_subject(Bundle.open(arguments.bundle), mix)
        lengths = [len(row) for row in bundle.rows]
        shape = reference_subject(Path(folder) / "reference", lengths, REFERENCE)
        reference = Reference(bundle.bundle, mix.texts, arguments.checkpoint)
        rate = matrix_tflops()
        ways = contenders(flavour)
        rows = [
            examine(bundle, ways, arguments.seconds, rate, reference),
            examine(shape, ways, arguments.seconds, rate, None),
        ]
    rows[0]["server"] = through_server(arguments, mix, flavour)
    passed, reasons = verdict(rows, flavour)
    write(arguments.out or RESULTS / file_name(device.name), device, rows, mix, rate, reasons)
    print(table(rows))
    print("\n".join(["passed" if passed else "NOT passed:", *reasons]))
    return PASSED if passed else FAILED


def find_device() -> Device:
    """The GPU.

    Raises:
        ConfigError: There is none.
    """
    cuda = open_cuda()
    try:
        with cuda.current():
            return cuda.device()
    finally:
        cuda.close()


def examine(
    subject: Subject,
    ways: Sequence[Contender],
    seconds: float,
    matrix_rate: float | None,
    reference: Reference | None,
) -> dict[str, Any]:
    """Everything about one model; without a reference only its speed."""
    found = []
    for way in ways:
        print(f"{subject.name}: {way.name}", file=sys.stderr)
        row: dict[str, Any] = {"name": way.name}
        try:
            with way.opened(subject) as runner:
                row |= speeds(runner, subject, seconds, matrix_rate)
                if reference is not None:
                    row |= answers(runner, subject.bundle, reference)
        except Exception as error:  # whatever a peer raises is a line of the result
            row = {"name": way.name, "failed": " ".join(str(error).split())[:300] or repr(error)}
        found.append(row)
    return {"name": subject.name, "contenders": found}


def answers(runner: Runner, bundle: Bundle, reference: Reference) -> dict[str, Any]:
    """The self-test, and parity."""
    try:
        check_runner(runner, bundle)
    except HanjaserveError as error:
        return {"failed_self_test": str(error)}
    return {"parity": reference.parity(runner)}


def speeds(runner: Runner, subject: Subject, seconds: float, matrix_rate: float | None) -> dict[str, Any]:
    """Tokens per second and milliseconds, over the mix, for one text, and per bucket."""
    pad_id = subject.bundle.manifest.pad_id
    batches = pack(subject.rows, MAX_BATCH_TOKENS, pad_id)
    one = pad([np.resize(subject.rows[0], ONE_TEXT_TOKENS)], pad_id)
    calls = max(10, int(500 * seconds))
    row: dict[str, Any] = {
        "runner": runner.name,
        "runner_tokens_per_s": runner_rate(runner, batches, seconds),
        "latency": asdict(latency(runner, one, calls)),
    }
    if isinstance(runner, TensorRtRunner):
        row["buckets"] = by_bucket = per_bucket(runner, seconds / 4)
        best = max(by_bucket, key=lambda found: float(found["device_tokens_per_s"]))
        row["device_tokens_per_s"] = best["device_tokens_per_s"]
        if subject.flops and matrix_rate:
            tflops = best["device_tokens_per_s"] * subject.flops(best["tokens"]) / 1e12
            row["matrix_share"] = tflops / matrix_rate
    return row


def per_bucket(runner: TensorRtRunner, seconds: float) -> list[dict[str, Any]]:
    """The full bucket of every length: the device alone, and from call to answer."""
    full = {bucket.tokens: bucket for bucket in reversed(runner.buckets.buckets)}
    return [
        {
            "tokens": bucket.tokens,
            "rows": bucket.rows,
            "device_tokens_per_s": device_rate(runner, bucket, seconds),
            "latency": asdict(
                latency(runner, np.full((bucket.rows, bucket.tokens), ANY_TOKEN, np.int32), calls=50)
            ),
        }
        for bucket in sorted(full.values())
    ]


def through_server(arguments: argparse.Namespace, mix: Mix, flavour: str) -> dict[str, Any]:
    """Bulk load, then single calls, on a real server that is pinned to the flavour."""

    async def measure(address: str) -> tuple[load.Load, load.Load]:
        async with Client(address, retry=RetryPolicy(max_attempts=1)) as client:
            await client.wait_ready()
            target, seconds = Hanjaserve(client), 5 * arguments.seconds
            bulk = await load.flow(target, mix.texts, seconds=seconds)
            one = await load.closed_loop(target, mix.texts, in_flight=1, seconds=seconds, warm_s=0.2)
            return bulk, one

    try:
        with running(arguments.bundle, threads=0, flags=("--runner", flavour)) as server:
            done, single = asyncio.run(measure(server.address))
    except (ServerFailed, HanjaserveError) as error:
        return {"failed": str(error)}
    per_s = done.code_points / done.seconds
    return {
        "texts_per_s": done.texts_per_s,
        "code_points_per_s": per_s,
        "errors": done.errors,
        "one_call_at_a_time": {"p50_ms": single.latency_ms(0.5), "p99_ms": single.latency_ms(0.99)},
    }


def write(
    path: Path,
    device: Device,
    subjects: Sequence[dict[str, Any]],
    mix: Mix,
    matrix_rate: float | None,
    reasons: Sequence[str],
) -> None:
    """Write the result."""
    content = {
        "schema": SCHEMA,
        "device": asdict(device),
        "environment": report.environment(PACKAGES),
        "mix": {"source": mix.source, "texts": len(mix.texts)},
        "matrix_tflops": matrix_rate,
        "not_passed": list(reasons),
        "subjects": list(subjects),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
    print(f"written to {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--flavour", choices=("auto", "tensorrt", "tensorrt-rtx"), default="auto")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--checkpoint", default="", help="of the bundle: compare with PyTorch FP32")
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="of every measurement")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
