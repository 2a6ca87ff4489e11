"""The reference's own usage, a Hugging Face pipeline, against hanjaserve, in turns.

    python -m benchmarks.peers.huggingface [--rounds 3] [--seconds 10]

The reference publishes its shape, vocabulary and labels; its weights are not needed to measure speed. A
checkpoint of that shape with weights from a seed is run, in turns,

    pipeline             one text at a time, in process, PyTorch FP32: what the reference's README does
    pipeline, batched    32 texts at a time, sorted by length, as the documentation advises
    same checkpoint      served by hanjaserve, as a stream
    default model        served by hanjaserve, as a stream

Needs $HANJASERVE_SEED (default ../shared/seed) with the reference's tokenizer and configuration.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from benchmarks import load, report
from benchmarks.arguments import positive, rounds
from benchmarks.server import Server, ServerFailed, running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import load_verses
from hanjaserve.client import Client
from hanjaserve.models import default_bundle_path
from tests.build.word_checkpoint import Shape, save_like_reference

REFERENCE = Shape(hidden_size=768, intermediate_size=3072, num_hidden_layers=6, num_attention_heads=12)
BATCH = 32

Measured = Callable[[], float]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    arguments = _parser().parse_args(argv)
    seed = Path(os.environ.get("HANJASERVE_SEED", "../shared/seed"))
    if not (seed / "tokenizer.json").exists():
        print(f"huggingface: no tokenizer in {seed}: set HANJASERVE_SEED", file=sys.stderr)
        return 2
    texts = load_verses()
    try:
        rates = _rounds(seed, texts, seconds=arguments.seconds, rounds=arguments.rounds)
    except ServerFailed as error:
        print(f"huggingface: {error}", file=sys.stderr)
        return 2
    result = {
        "kind": "huggingface",
        "environment": report.environment(),
        "seconds": arguments.seconds,
        "mean_code_points": round(statistics.mean(map(len, texts)), 1),
        "rounds": rates,
        "texts_per_s": {name: statistics.median(found) for name, found in rates.items()},
    }
    results = Path(__file__).parents[1] / "results"
    path = arguments.out or results / f"huggingface-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


def _rounds(seed: Path, texts: Sequence[str], *, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Texts per second of every way, in turns."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        checkpoint = save_like_reference(Path(folder) / "checkpoint", seed, REFERENCE)
        same = stack.enter_context(running(_build(checkpoint, Path(folder) / "bundle")))
        default = stack.enter_context(running(default_bundle_path()))
        runs = {
            **_pipelines(checkpoint, texts, seconds),
            "same checkpoint": _served(same, texts, seconds),
            "default model": _served(default, texts, seconds),
        }
        for _ in range(rounds):
            for name, run in runs.items():
                rates.setdefault(name, []).append(round(run(), 1))
                print(f"{name}: {rates[name][-1]} texts/s", flush=True)
    return rates


def _build(checkpoint: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "hanjaserve.cli.main", "build", "bundle", "--name", "reference-shape"]
    subprocess.run([*command, "--checkpoint", str(checkpoint), "--out", str(out)], check=True)
    return out


def _pipelines(checkpoint: Path, texts: Sequence[str], seconds: float) -> dict[str, Measured]:
    # The package is heavy, and warns about what it finds missing.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import pipeline

        classify = pipeline("token-classification", model=str(checkpoint), tokenizer=str(checkpoint))
    ordered = sorted(texts, key=len)

    def one_by_one() -> float:
        return _rate(lambda part: [classify(text) for text in part], texts, 1, seconds)

    def batched() -> float:
        return _rate(lambda part: classify(part, batch_size=BATCH), ordered, BATCH, seconds)

    return {"pipeline": one_by_one, "pipeline, batched": batched}


def _rate(run: Callable[[list[str]], object], texts: Sequence[str], size: int, seconds: float) -> float:
    """Texts per second of a function that takes `size` of them."""
    # Spread over all of the lengths, whatever their order.
    parts = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
    parts = parts[:: max(1, len(parts) // 64)]
    run(parts[0])
    done = 0
    started = time.perf_counter()
    for part in islice(cycle(parts), 1_000_000):
        run(part)
        done += len(part)
        if time.perf_counter() - started >= seconds:
            break
    return done / (time.perf_counter() - started)


def _served(server: Server, texts: Sequence[str], seconds: float) -> Measured:
    async def stream() -> float:
        async with Client(server.address) as client:
            await client.wait_ready()
            found = await load.flow(Hanjaserve(client), texts, seconds=seconds)
            return found.texts_per_s

    return lambda: asyncio.run(stream())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.huggingface", description=__doc__)
    parser.add_argument("--rounds", type=rounds, default=3)
    parser.add_argument("--seconds", type=positive, default=10.0, help="of every measurement")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
