"""Memory growth of the server over many requests: `python -m benchmarks.soak --requests 1000000`.

Unary calls, 64 in flight, one in ten cancelled and one in ten with a deadline too short, since those are what
leaks. Memory is read after a tenth of the calls, when everything that is kept for good is there, and at the
end. A million calls take the bundled model some twenty minutes.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from benchmarks import report
from benchmarks.server import Server, ServerFailed, running
from benchmarks.texts import load_mix
from hanjaserve.client import Client, ConvertError, RetryPolicy
from hanjaserve.models import default_bundle_path

IN_FLIGHT = 64
SHORT_S = 0.001


def main(argv: Sequence[str] | None = None) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    arguments = parser.parse_args(argv)
    if arguments.requests < 1000:
        parser.error(f"--requests is {arguments.requests}: use at least 1000")
    try:
        with running(arguments.bundle, flags=("--log-level", "error")) as server:
            found = asyncio.run(_soak(server, arguments.requests))
    except ServerFailed as error:
        parser.error(str(error))
    print(f"{found['growth_mib']} MiB over {found['requests']} requests, {found['requests_per_s']}/s")
    result = {"kind": "soak", "environment": report.environment(), **found}
    results = Path(__file__).parent / "results"
    path = arguments.out or results / f"soak-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


async def _soak(server: Server, requests: int) -> report.Row:
    texts = load_mix().texts
    numbers = count()
    rss: list[tuple[int, float]] = []
    started = time.monotonic()
    async with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
        await client.wait_ready()

        async def caller() -> None:
            while (number := next(numbers)) < requests:
                await _call(client, texts[number % len(texts)], number % 10)
                if number % (requests // 10) == 0:
                    counters = await asyncio.to_thread(server.counters)
                    rss.append((number, round(counters.rss_bytes / 2**20, 1)))

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        last = await asyncio.to_thread(server.counters)
    rss = [*sorted(rss), (requests, round(last.rss_bytes / 2**20, 1))]
    return {
        "requests": requests,
        "requests_per_s": round(requests / (time.monotonic() - started)),
        "rss_mib": rss,
        "growth_mib": round(rss[-1][1] - rss[1][1], 1),
    }


async def _call(client: Client, text: str, kind: int) -> None:
    """One call: cancelled, too short a deadline, or as it should be."""
    if kind == 0:
        task = asyncio.create_task(client.convert(text))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError, ConvertError):
            await task
        return
    with suppress(ConvertError):
        await client.convert(text, timeout_s=SHORT_S if kind == 1 else None)


if __name__ == "__main__":
    sys.exit(main())
