"""How throughput grows with front-end processes, and where it ends: `python -m benchmarks.frontends`.

    server   --frontends N, for each N in turn, and again in the same order; a null runner (benchmarks/null)
    load     a process of its own (more with --clients), with several connections, which the kernel spreads
    kinds    calls of 64 texts, and single texts, a fixed number in flight

With few cores, server and load share them, and it is the load that ends first: its processor time is reported
beside the server's. N = 0 is the server of one process.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from benchmarks import load, report
from benchmarks.counters import Counters
from benchmarks.null.bundle import make_null_bundle
from benchmarks.server import Server, ServerFailed, running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import load_mix
from hanjaserve.client import Client, RetryPolicy
from hanjaserve.models import default_bundle_path

FRONTENDS = (0, 1, 2, 4)
CONNECTIONS = 16
WARM_S = 1.0
# A device on which ours is what is slow: assumed, as in benchmarks/simulator.
BATCH_US, TOKEN_US = 500.0, 0.25
MAX_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of load.

    Attributes:
        name: What the tables call it.
        batch: Texts of a call.
        in_flight: Calls at a time, of all clients together.
    """

    name: str
    batch: int
    in_flight: int


KINDS = (
    Kind(name="64 texts a call, 32 calls in flight", batch=64, in_flight=32),
    Kind(name="1 text a call, 128 calls in flight", batch=1, in_flight=128),
)


class Spread:
    """A target behind several connections, used in turn; see `load.Target`."""

    def __init__(self, targets: Sequence[Hanjaserve]) -> None:
        self._next: Iterator[Hanjaserve] = cycle(targets)

    async def convert(self, texts: Sequence[str]) -> None:
        """See `Target.convert`."""
        await next(self._next).convert(texts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    arguments = _parser().parse_args(argv)
    rows: list[report.Row] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            bundle = make_null_bundle(arguments.bundle, Path(folder) / "null")
            for round_number in range(arguments.rounds):
                for frontends in arguments.frontends:
                    found = _measured(bundle, frontends, arguments)
                    rows += [{"frontends": frontends, "round": round_number, **row} for row in found]
    except ServerFailed as error:
        print(f"frontends: {error}", file=sys.stderr)
        return 2
    result = {
        "kind": "frontends",
        "environment": report.environment(),
        "quick": arguments.seconds < 5,
        "mix": load_mix().source,
        "runner": {"batch_us": arguments.batch_us, "token_us": arguments.token_us, "measured": False},
        "clients": arguments.clients,
        "connections": CONNECTIONS,
        "rows": rows,
    }
    name = f"frontends-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path = arguments.out or Path(__file__).parent / "results" / name
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


def _measured(bundle: Path, frontends: int, arguments: argparse.Namespace) -> list[report.Row]:
    """Every kind of load on a server with so many front-ends."""
    cost = ["--batch-us", str(arguments.batch_us), "--token-us", str(arguments.token_us)]
    flags = [*cost, "--frontends", str(frontends), "--max-batch-tokens", str(MAX_BATCH_TOKENS)]
    rows = []
    with running(bundle, flags=flags, command=("benchmarks.null.server",)) as server:
        for kind in KINDS:
            row = _row(server, kind, arguments)
            rows.append(row)
            print(
                f"{frontends} front-ends, {kind.name}: {row['texts_per_s']:,.0f} texts/s, "
                f"server {row['server_cores']:.2f} and clients {row['client_cores']:.2f} cores",
                flush=True,
            )
    return rows


def _row(server: Server, kind: Kind, arguments: argparse.Namespace) -> report.Row:
    before = server.counters()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.clients, mp_context=context) as pool:
        own = Kind(name=kind.name, batch=kind.batch, in_flight=max(1, kind.in_flight // arguments.clients))
        jobs = [
            pool.submit(run_load, server.address, own, arguments.seconds, CONNECTIONS // arguments.clients)
            for _ in range(arguments.clients)
        ]
        loads = [job.result() for job in jobs]
    return _summary(kind, loads, server.counters().since(before))


def _summary(kind: Kind, loads: Sequence[load.Load], used: Counters) -> report.Row:
    latencies = sorted(latency for found in loads for latency in found.latencies_s)
    seconds = sum(found.seconds for found in loads) / len(loads)
    return {
        "name": kind.name,
        "texts_per_s": round(sum(found.texts_per_s for found in loads), 1),
        "errors": sum(sum(found.errors.values()) for found in loads),
        "stable": all(found.stable for found in loads),
        "p50_ms": round(1000 * latencies[len(latencies) // 2], 2) if latencies else None,
        "p99_ms": round(1000 * latencies[int(0.99 * len(latencies))], 2) if latencies else None,
        "client_cores": round(sum(found.client_cpu_s for found in loads), 2),
        # Warming up included, as in the load.
        "server_cores": round(used.cpu_s / (seconds + WARM_S), 2),
        "server_us_per_text": round(1e6 * used.cpu_s / (used.tokens or 1) * _tokens_per_text(), 1),
        "runner_busy": round(used.run_s / (seconds + WARM_S), 2),
        "server_rss_mib": round(used.rss_bytes / 2**20, 1),
    }


def _tokens_per_text() -> float:
    return load_mix().mean_code_points + 1


def run_load(address: str, kind: Kind, seconds: float, connections: int) -> load.Load:
    """The load, in a process of its own."""
    return asyncio.run(_run_load(address, kind, seconds, connections))


async def _run_load(address: str, kind: Kind, seconds: float, connections: int) -> load.Load:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(address, retry=RetryPolicy(max_attempts=1)))
            for _ in range(max(1, connections))
        ]
        for client in clients:
            await client.wait_ready()
        target = Spread([Hanjaserve(client) for client in clients])
        return await load.closed_loop(
            target,
            load_mix().texts,
            in_flight=kind.in_flight,
            seconds=seconds,
            warm_s=WARM_S,
            batch=kind.batch,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frontends", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of every load, besides warming up")
    parser.add_argument("--rounds", type=int, default=3, help="how often each number is measured")
    parser.add_argument("--frontends", type=int, nargs="+", default=list(FRONTENDS), metavar="N")
    parser.add_argument("--clients", type=int, default=1, help="processes that make the load")
    parser.add_argument("--batch-us", type=float, default=BATCH_US, help="of the runner, per batch")
    parser.add_argument("--token-us", type=float, default=TOKEN_US, help="of the runner, per token")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path(), help="whose tables are used")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
