"""`make bench-peers`: every server around the same model, on the same machine, under the same load, in turns.

    python -m benchmarks.peers.run [--rounds 2] [--seconds 8] [--only fastapi,mosec] [--p99-ms 50]

One server runs at a time. In every round each is started, asked whether it converts rightly, loaded with 64
calls in flight, and searched for the highest Poisson rate that keeps p99 within the limit; the rounds follow
each other (A B C A B C), and the median counts. A peer that can't be installed or started is reported as
absent, with the reason.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.arguments import positive, rounds
from benchmarks.load import Load, Refused, closed_loop, open_loop
from benchmarks.peers.environments import HERE, Absent
from benchmarks.peers.registry import CANDIDATES, OURS, Candidate
from benchmarks.peers.targets import Peer
from benchmarks.search import highest_rate
from benchmarks.server import free_port
from benchmarks.texts import Mix, load_mix

ROOT = HERE.parents[1]
PARTS = ("", "protos", "server", "clients", "models")
START_S, STOP_S = 120.0, 20.0
IN_FLIGHT, WARM_S, STEPS, QUICK_STEPS = 64, 2.0, 5, 3
PROBES = 40
TOKEN = "benchmark"
"""For what a server tells only to those who know it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    arguments = _parser().parse_args(argv)
    names = [candidate.name for candidate in CANDIDATES]
    only = arguments.only.split(",") if arguments.only else names
    if unknown := sorted(set(only) - set(names)):
        print(f"bench-peers: unknown peer {unknown[0]!r}: use {', '.join(names)}", file=sys.stderr)
        return 2
    chosen = [candidate for candidate in CANDIDATES if candidate.name in {*only, OURS}]
    mix = load_mix()
    gc.freeze()
    result = {
        "kind": "peers",
        "environment": report.environment(),
        "quick": arguments.quick,
        "seconds": arguments.seconds,
        "p99_ms": arguments.p99_ms,
        "mix": {"source": mix.source, "mean_code_points": round(mix.mean_code_points, 1)},
        "peers": asyncio.run(_rounds(chosen, mix, arguments)),
    }
    path = arguments.out or ROOT / "benchmarks" / "results" / f"peers-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"written to {path}")
    return 0


async def _rounds(
    chosen: Sequence[Candidate], mix: Mix, arguments: argparse.Namespace
) -> dict[str, report.Row]:
    expected: dict[str, str] = {}
    rows: dict[str, report.Row] = {one.name: {"title": one.title, "rounds": []} for one in chosen}
    for _ in range(arguments.rounds):
        for candidate in chosen:
            row = rows[candidate.name]
            if "absent" in row:
                continue
            try:
                async with served(candidate) as peer:
                    await check(peer, mix.texts[:PROBES], expected)
                    found = await measure(peer, mix, arguments)
            except Absent as error:
                row["absent"] = str(error)
                print(f"{candidate.title}: absent, {error}", flush=True)
                continue
            done = row["rounds"]
            assert isinstance(done, list)
            done.append(found)
            print(f"{candidate.title}: {found['texts_per_s']}/s, {found['rate_per_s']}/s in time", flush=True)
    for row in rows.values():
        done = row["rounds"]
        assert isinstance(done, list)
        for figure in ("texts_per_s", "rate_per_s"):
            row[figure] = statistics.median(one[figure] for one in done) if done else None
    return rows


async def measure(peer: Peer, mix: Mix, arguments: argparse.Namespace) -> report.Row:
    """Load a server that runs."""
    seconds = arguments.seconds
    full = await closed_loop(peer, mix.texts, in_flight=IN_FLIGHT, seconds=seconds, warm_s=WARM_S)

    async def rate(rate_per_s: float) -> Load:
        return await open_loop(peer, mix.texts, rate_per_s=rate_per_s, seconds=seconds, warm_s=WARM_S / 2)

    steps = QUICK_STEPS if arguments.quick else STEPS
    found = await highest_rate(rate, most=max(full.texts_per_s, 1.0), p99_ms=arguments.p99_ms, steps=steps)
    return {
        "texts_per_s": round(full.texts_per_s, 1),
        "rate_per_s": round(found.rate_per_s, 1),
        "full": report.load_row(full),
        "tried": [report.load_row(one) for one in found.tried],
    }


async def check(peer: Peer, texts: Sequence[str], expected: dict[str, str]) -> None:
    """See that a server converts as the first one did, which is ours.

    Raises:
        Absent: It does not.
    """
    for text in texts:
        answer = await peer.answer(text)
        if expected.setdefault(text, answer) != answer:
            raise Absent("it converts differently from hanjaserve: it does not serve the same model")


@asynccontextmanager
async def served(candidate: Candidate, port: int | None = None) -> AsyncIterator[Peer]:
    """Start a server, connect to it, and end all of its processes afterwards.

    Args:
        candidate: Which.
        port: Where it serves; by default one that is free.

    Raises:
        Absent: It can't be installed or started.
    """
    port = port or free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in PARTS),
        "PEER_PORT": str(port),
        "PEER_SECOND_PORT": str(free_port()),
        "PEER_TOKEN": TOKEN,
    }
    python = await asyncio.to_thread(candidate.python)
    with tempfile.TemporaryFile() as log:
        process = await asyncio.to_thread(
            subprocess.Popen,
            candidate.command(python, port),
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            async with candidate.connect(port) as peer:
                await _answering(peer, process, log)
                yield peer
        finally:
            await asyncio.to_thread(_end, process)


async def _answering(peer: Peer, process: "subprocess.Popen[bytes]", log: object) -> None:
    """Wait until a server converts."""
    give_up = time.monotonic() + START_S
    while True:
        try:
            await peer.answer("수도")
            return
        except Refused as error:
            if process.poll() is not None:
                raise Absent(f"it ended with {process.returncode}: {_last_line(log)}") from None
            if time.monotonic() > give_up:
                raise Absent(f"not ready in {START_S:.0f} s ({error}): {_last_line(log)}") from None
        await asyncio.sleep(0.5)


def _last_line(log: object) -> str:
    log.seek(0)  # type: ignore[attr-defined]
    lines = log.read().decode(errors="replace").splitlines()  # type: ignore[attr-defined]
    telling = [line.strip() for line in lines if any(map(str.isalpha, line))]
    return telling[-1][:200] if telling else "it said nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and whatever processes it has started: they are a session of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue


def _parser() -> argparse.ArgumentParser:
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.run", description=__doc__)
    parser.set_defaults(quick=quick)
    parser.add_argument("--rounds", type=rounds, default=1 if quick else 2)
    parser.add_argument("--seconds", type=positive, default=3.0 if quick else 8.0, help="of every load")
    parser.add_argument("--p99-ms", type=positive, default=50.0, help="limit of the search")
    parser.add_argument("--only", help="names of peers, by commas; hanjaserve is always measured")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
