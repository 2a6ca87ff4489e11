"""`make bench`: how fast the server is, and what it wastes, on a real mix of sentences.

    python -m benchmarks.bench [--seconds 10] [--bundle DIR] [--threads N] [--p99-ms 50]

In this order, with the bare runner measured before and after each of the first three:
    flow, batches, unary calls     the most that the server can do, against the bare runner
    search                         the highest Poisson rate whose p99 stays within the limit
    sweep                          latency of single calls against offered load, up to that rate
    batches, streams               theirs, at shares of the most that they can do
    beside bulk                    interactive calls alone, and while a stream saturates the server
    beside floods                  the same, while another caller floods the server (benchmarks/floods.py)

Server, load and runner share this machine: what is measured is the whole of it, and the client's share of
the processor is reported. QUICK=1 keeps a run under three minutes, to see that it works; its numbers are
not for comparison.
"""

import argparse
import asyncio
import gc
import json
import math
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import load, report
from benchmarks.arguments import positive
from benchmarks.floods import KINDS, flooding
from benchmarks.raw import Ceiling, Raw
from benchmarks.search import highest_rate
from benchmarks.server import Server, ServerFailed, running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import Mix, load_mix
from hanjaserve.client import Client, RetryPolicy
from hanjaserve.models import default_bundle_path

SECONDS, QUICK_SECONDS = 10.0, 3.0
WARM_S = 1.0
TRIES = 3
IN_FLIGHT = 64
BATCH, BATCHES_IN_FLIGHT = 64, 4
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
QUICK_SHARES = (0.3, 0.7, 1.0)
OTHER_SHARES = (0.3, 0.5, 0.7, 0.9)
SEARCH_STEPS, QUICK_SEARCH_STEPS = 6, 4
# Calls of a person beside bulk work: few enough not to load the server themselves.
INTERACTIVE_SHARE = 0.1

Measure = Callable[[], Awaitable[load.Load]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    arguments = _parser().parse_args(argv)
    if not (arguments.bundle / "manifest.json").exists():
        return _refuse(f"no bundle in {arguments.bundle}: make one or use --bundle")
    mix = load_mix()
    # What comes before is not to be collected during a load.
    gc.freeze()
    try:
        with running(arguments.bundle, threads=arguments.threads) as server:
            result = asyncio.run(_run(server, mix, arguments))
    except ServerFailed as error:
        return _refuse(str(error))
    path = arguments.out or _result_path(quick=arguments.quick)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


async def _run(server: Server, mix: Mix, arguments: argparse.Namespace) -> report.Row:
    raw = Raw(arguments.bundle, mix.texts, threads=arguments.threads)
    try:
        async with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
            await client.wait_ready()
            session = Session(server, Hanjaserve(client), raw, mix.texts, arguments.seconds)
            found = await session.everything(quick=arguments.quick, p99_ms=arguments.p99_ms)
    finally:
        raw.close()
    return {
        "kind": "serving",
        "environment": report.environment(),
        "quick": arguments.quick,
        "threads": arguments.threads,
        "runner": raw.name,
        "bundle": json.loads((arguments.bundle / "manifest.json").read_text("utf-8"))["revision"],
        "mix": {
            "source": mix.source,
            "texts": len(mix.texts),
            "mean_code_points": round(mix.mean_code_points, 1),
        },
        **found,
    }


@dataclass
class Session:
    """One run against one server."""

    server: Server
    target: Hanjaserve
    raw: Raw
    texts: Sequence[str]
    seconds: float

    async def everything(self, *, quick: bool, p99_ms: float) -> report.Row:
        """Measure all that the module's docstring lists, and print it as it comes."""
        best = [
            await self._beside_raw(measure, tries=1 if quick else TRIES)
            for measure in (self._flow, self._batches, self._unary)
        ]
        print(report.console(best), flush=True)
        unary_per_s = best[-1]["texts_per_s"]
        assert isinstance(unary_per_s, float)
        steps = QUICK_SEARCH_STEPS if quick else SEARCH_STEPS
        found = await highest_rate(self._rate, most=unary_per_s, p99_ms=p99_ms, steps=steps)
        print(f"p99 within {p99_ms:g} ms up to {found.rate_per_s:.0f} calls/s", flush=True)
        full = found.rate_per_s or unary_per_s / 2
        shares = QUICK_SHARES if quick else SHARES
        sweep = [await self._typical(share * full, tries=1 if quick else TRIES) for share in shares]
        print(report.console(sweep), flush=True)
        others = []
        for measure, most in ((self._batch_rate, best[1]), (self._flow_rate, best[0])):
            texts_per_s = most["texts_per_s"]
            assert isinstance(texts_per_s, float)
            others += [await measure(share * texts_per_s) for share in OTHER_SHARES]
        print(report.console(others), flush=True)
        beside = await self._beside_bulk(INTERACTIVE_SHARE * full)
        print(report.console(list(beside.values())), flush=True)
        floods = [await self._beside_flood(kind, INTERACTIVE_SHARE * full) for kind in KINDS]
        print(report.console(floods), flush=True)
        return {
            "best": best,
            "search": {
                "p99_ms": p99_ms,
                "rate_per_s": round(found.rate_per_s, 1),
                "tried": [report.load_row(one) for one in found.tried],
            },
            "sweep": sweep,
            "other_sweeps": others,
            "beside_bulk": beside,
            "beside_floods": floods,
        }

    async def _beside_raw(self, measure: Measure, *, tries: int) -> report.Row:
        """Measure with the bare runner before and after; again, up to `tries` times, if it was unstable."""
        row: report.Row = {}
        before = self._ceiling()
        for _ in range(tries):
            used = self.server.counters()
            found = await measure()
            used = self.server.counters().since(used)
            after = self._ceiling()
            row = report.load_row(found, report.mean([before, after]), used)
            row["raw"] = [asdict(before), asdict(after)]
            before = after
            if found.stable:
                break
        return row

    def _ceiling(self) -> Ceiling:
        return self.raw.measure(self.seconds / 2)

    async def _typical(self, rate_per_s: float, *, tries: int) -> report.Row:
        """A rate several times: the one whose p99 is the middle one."""
        runs = []
        for _ in range(tries):
            before = self.server.counters()
            runs.append((await self._rate(rate_per_s), self.server.counters().since(before)))
        runs.sort(key=lambda run: run[0].latency_ms(0.99) or math.inf)
        rows = [report.load_row(found, used=used) for found, used in runs]
        return {**rows[len(rows) // 2], "each_p99_ms": [row["p99_ms"] for row in rows]}

    async def _flow(self) -> load.Load:
        return await load.flow(self.target, self.texts, seconds=self.seconds)

    async def _batches(self) -> load.Load:
        return await load.closed_loop(
            self.target,
            self.texts,
            in_flight=BATCHES_IN_FLIGHT,
            batch=BATCH,
            seconds=self.seconds,
            warm_s=WARM_S,
        )

    async def _unary(self) -> load.Load:
        return await load.closed_loop(
            self.target, self.texts, in_flight=IN_FLIGHT, seconds=self.seconds, warm_s=WARM_S
        )

    async def _rate(self, rate_per_s: float) -> load.Load:
        return await load.open_loop(
            self.target, self.texts, rate_per_s=rate_per_s, seconds=self.seconds, warm_s=WARM_S
        )

    async def _batch_rate(self, texts_per_s: float) -> report.Row:
        found = await load.open_loop(
            self.target,
            self.texts,
            rate_per_s=texts_per_s / BATCH,
            seconds=self.seconds,
            warm_s=WARM_S,
            batch=BATCH,
        )
        return report.load_row(found)

    async def _flow_rate(self, texts_per_s: float) -> report.Row:
        found = await load.open_flow(
            self.target, self.texts, rate_per_s=texts_per_s, seconds=self.seconds, warm_s=WARM_S
        )
        return report.load_row(found)

    async def _beside_bulk(self, rate_per_s: float) -> dict[str, report.Row]:
        alone = await self._rate(rate_per_s)
        begun = asyncio.Event()
        bulk = asyncio.create_task(
            load.flow(self.target, self.texts, seconds=self.seconds + 2 * WARM_S, begun=begun)
        )
        await begun.wait()
        beside = await self._rate(rate_per_s)
        return {
            "alone": report.load_row(alone),
            "beside": report.load_row(beside),
            "bulk": report.load_row(await bulk),
        }

    async def _beside_flood(self, kind: str, rate_per_s: float) -> report.Row:
        seconds = self.seconds + 2 * WARM_S
        async with flooding(self.server.address, kind, seconds) as ends:
            found = await self._rate(rate_per_s)
        return {**report.load_row(found), "name": f"beside a flood, {kind}", "flood": ends}


def _refuse(reason: str) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.set_defaults(quick=quick)
    parser.add_argument(
        "--seconds",
        type=positive,
        default=QUICK_SECONDS if quick else SECONDS,
        help="of every load, besides warming up",
    )
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--threads", type=int, default=0, help="of the runner; 0: one per core")
    parser.add_argument("--p99-ms", type=positive, default=50.0, help="limit of the search")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


def _result_path(*, quick: bool) -> Path:
    now = datetime.now(UTC)
    name = f"serving-{now:%Y%m%dT%H%M%SZ}{'-quick' if quick else ''}.json"
    return Path(__file__).parent / "results" / name


if __name__ == "__main__":
    sys.exit(main())
