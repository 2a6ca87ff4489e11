"""NVIDIA's perf_analyzer on the KServe v2 endpoints of hanjaserve and of Triton, in turns.

    python -m benchmarks.peers.perf [--rounds 2] [--seconds 8]

Another program than ours makes the load, so that what ours claims can be checked. In every round each server
is loaded with 64 calls in flight, unary and as ModelStreamInfer, and by a Poisson process at half of that.

The program is in the wheel of tritonclient 2.47 (newer ones want a newer C library), and needs libb64-0d.
"""

import argparse
import asyncio
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.arguments import positive, rounds
from benchmarks.peers.environments import Absent, python_of
from benchmarks.peers.registry import CANDIDATES, OURS
from benchmarks.peers.run import ROOT, TOKEN, served
from benchmarks.server import free_port
from benchmarks.texts import load_mix
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle

IN_FLIGHT, TEXTS = 64, 1000
TRITON, TRITON_MODEL = "triton", "hanja"
TOKEN_HEADER = "triton-grpc-protocol-triton-access-token"
UNSTABLE_PERCENT = "999"  # or it repeats a run that it dislikes, and writes nothing in the end
TRIALS, LONGEST_S = 3, 30.0
LOADS = ("unary", "stream", "poisson")

Row = dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.perf", description=__doc__)
    parser.add_argument("--rounds", type=rounds, default=2)
    parser.add_argument("--seconds", type=positive, default=8.0, help="of every load")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    arguments = parser.parse_args(argv)
    mix = load_mix()
    try:
        tool = Tool(python_of("perfanalyzer"))
    except Absent as error:
        print(f"perf: perf_analyzer is absent: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "texts.json"
        texts = [{"TEXT": {"content": [text], "shape": [1]}} for text in mix.texts[:TEXTS]]
        data.write_text(json.dumps({"data": texts}), "utf-8")
        servers = asyncio.run(_rounds(tool, data, arguments))
    result = {
        "kind": "perf",
        "environment": report.environment(),
        "seconds": arguments.seconds,
        "mix": {"source": mix.source, "mean_code_points": round(mix.mean_code_points, 1)},
        "servers": servers,
    }
    results = ROOT / "benchmarks" / "results"
    path = arguments.out or results / f"perf-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


class Tool:
    """perf_analyzer.

    Raises:
        Absent: It does not start here.
    """

    def __init__(self, python: Path) -> None:
        self._path = python.with_name("perf_analyzer")
        libraries = python.parents[1].glob("lib/*/site-packages/nvidia/cuda_runtime/lib")
        self._environment = {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
        done = self._run(LONGEST_S, "--version")
        if done.returncode:
            raise Absent(_last_words(done))

    def measure(self, port: int, model: str, data: Path, seconds: float, *flags: str) -> Row:
        """One load: texts per second, and latencies in ms.

        Raises:
            Absent: The server answered otherwise than it expects.
        """
        table = data.with_suffix(".csv")
        table.unlink(missing_ok=True)
        done = self._run(
            LONGEST_S + TRIALS * seconds,
            "-m", model, "-i", "grpc", "-u", f"127.0.0.1:{port}", "--input-data", str(data), "-f", str(table),
            "--measurement-interval", str(int(1000 * seconds)), "-s", UNSTABLE_PERCENT,
            "--max-trials", str(TRIALS), "-H", f"{TOKEN_HEADER}:{TOKEN}", *flags,
        )  # fmt: skip
        if done.returncode or not table.exists():
            raise Absent(f"perf_analyzer: {_last_words(done)}")
        [row] = csv.DictReader(table.read_text("utf-8").splitlines())
        found = {"texts_per_s": round(float(row["Inferences/Second"]), 1)}
        for share in ("p50", "p99"):
            found[f"{share}_ms"] = round(float(row[f"{share} latency"]) / 1000, 2)
        return found

    def _run(self, within_s: float, *flags: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self._path), *flags]
        try:
            return subprocess.run(
                command, env=self._environment, capture_output=True, text=True, timeout=within_s
            )
        except subprocess.TimeoutExpired:
            raise Absent(f"perf_analyzer was not done after {within_s:.0f} s") from None


def _last_words(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"it ended with {done.returncode}"


async def _rounds(tool: Tool, data: Path, arguments: argparse.Namespace) -> dict[str, list[dict[str, Row]]]:
    models = {OURS: Bundle.open(default_bundle_path()).manifest.name, TRITON: TRITON_MODEL}
    found: dict[str, list[dict[str, Row]]] = {}
    for _ in range(arguments.rounds):
        for candidate in CANDIDATES:
            if candidate.name not in models:
                continue
            try:
                port = free_port()
                async with served(candidate, port):
                    row = await asyncio.to_thread(
                        _loads, tool, port, models[candidate.name], data, arguments.seconds
                    )
            except Absent as error:
                print(f"{candidate.title}: absent, {error}", flush=True)
                continue
            found.setdefault(candidate.title, []).append(row)
            print(f"{candidate.title}: {row}", flush=True)
    return found


def _loads(tool: Tool, port: int, model: str, data: Path, seconds: float) -> dict[str, Row]:
    closed = ("--concurrency-range", str(IN_FLIGHT), "--async")
    unary = tool.measure(port, model, data, seconds, *closed)
    stream = tool.measure(port, model, data, seconds, *closed, "--streaming")
    rate = unary["texts_per_s"] / 2
    poisson = tool.measure(
        port, model, data, seconds, "--async", "--request-rate-range", f"{rate:.0f}",
        "--request-distribution", "poisson",
    )  # fmt: skip
    return dict(zip(LOADS, (unary, stream, poisson), strict=True))


if __name__ == "__main__":
    sys.exit(main())
