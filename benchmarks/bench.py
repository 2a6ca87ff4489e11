"""`make bench`: latency and throughput of the server on a real mix of sentences.

    python -m benchmarks.bench [--seconds 15] [--bundle DIR] [--threads N] [--rates 50,200]

Server, load and all share this machine: what is measured is the whole of it, and the client's share of the
processor is part of the price. QUICK=1 keeps a run under a minute, to see that it works; its numbers
are not for comparison.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import load, raw, report
from benchmarks.server import Server, ServerFailed, running
from benchmarks.texts import Mix, load_mix
from hanjaserve.client import Client, RetryPolicy
from hanjaserve.models import default_bundle_path

SECONDS, QUICK_SECONDS = 15.0, 4.0
IN_FLIGHT = 64
BATCH_TOKENS = 4096
# Open-loop rates as shares of what the closed loop reached: idle, busy, nearly full.
SHARES = (0.2, 0.5, 0.8)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    arguments = _parser().parse_args(argv)
    if not (arguments.bundle / "manifest.json").exists():
        return _refuse(f"no bundle in {arguments.bundle}: make one or use --bundle")
    mix = load_mix()
    environment = report.environment()
    try:
        with running(arguments.bundle, threads=arguments.threads) as server:
            loads = asyncio.run(_loads(server, mix, arguments))
    except ServerFailed as error:
        return _refuse(str(error))
    # After the server has gone, so that the two do not share the processor.
    ceiling = raw.measure(
        arguments.bundle,
        mix.texts,
        threads=arguments.threads,
        batch_tokens=BATCH_TOKENS,
        seconds=arguments.seconds,
    )
    print(report.table(loads, ceiling))
    result = {
        "environment": environment,
        "quick": bool(os.environ.get("QUICK")),
        "threads": arguments.threads,
        "bundle": json.loads((arguments.bundle / "manifest.json").read_text("utf-8"))["revision"],
        "mix": {
            "source": mix.source,
            "texts": len(mix.texts),
            "mean_code_points": round(mix.mean_code_points, 1),
        },
        "server": {"cpu_s": round(server.cpu_s, 2), "peak_rss_mib": round(server.peak_rss_mib)},
        "ceiling": report.ceiling_row(ceiling),
        "loads": [report.load_row(one, ceiling) for one in loads],
    }
    path = arguments.out or _result_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


def _refuse(reason: str) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return 2


async def _loads(server: Server, mix: Mix, arguments: argparse.Namespace) -> list[load.Load]:
    seconds = arguments.seconds
    async with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
        await client.wait_ready()
        await load.closed_loop(client, mix.texts, in_flight=IN_FLIGHT, seconds=min(2.0, seconds))
        closed = await load.closed_loop(client, mix.texts, in_flight=IN_FLIGHT, seconds=seconds)
        rates = arguments.rates or [share * closed.texts_per_s for share in SHARES]
        loads = [await load.open_loop(client, mix.texts, rate_per_s=rate, seconds=seconds) for rate in rates]
        return [*loads, closed, await load.bulk(client, mix.texts, seconds=seconds)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    seconds = QUICK_SECONDS if os.environ.get("QUICK") else SECONDS
    parser.add_argument("--seconds", type=float, default=seconds, help="of every load")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--threads", type=int, default=0, help="of the runner; 0: one per core")
    parser.add_argument("--rates", type=_rates, help="open-loop rates per second, as 50,200")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


def _rates(text: str) -> list[float]:
    return [float(rate) for rate in text.split(",")]


def _result_path() -> Path:
    now = datetime.now(UTC)
    return Path(__file__).parent / "results" / f"serving-{now:%Y%m%dT%H%M%SZ}.json"


if __name__ == "__main__":
    sys.exit(main())
