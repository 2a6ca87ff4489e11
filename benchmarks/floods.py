"""Floods that one caller makes while another one's calls are measured.

    python -m benchmarks.floods --address 127.0.0.1:50051 --kind tiny --seconds 10

Each keeps IN_FLIGHT calls going, from a process and over a connection of its own. Who was refused or gave up
waits a little before the next call. The last line printed tells how the calls ended.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from benchmarks.arguments import positive
from benchmarks.texts import load_mix
from hanjaserve.client import Client, ConvertError, RetryPolicy
from hanjaserve.server.service import INTERACTIVE_CODE_POINTS

IN_FLIGHT = 64
HUGE = 4096
"""Code points of a text that waits with bulk work."""
LEAVES_S, EXPIRES_S = 0.005, 0.001
PAUSE_S = 0.01
BEGUN = "begun"

Call = Callable[[Client, str], Awaitable[object]]


def main(argv: Sequence[str] | None = None) -> int:
    """Flood for a while; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floods", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--seconds", type=positive, default=10.0)
    arguments = parser.parse_args(argv)
    ends = asyncio.run(_flood(arguments.address, KINDS[arguments.kind], arguments.seconds))
    print(json.dumps(ends))
    return 0


@asynccontextmanager
async def flooding(address: str, kind: str, seconds: float) -> AsyncIterator[dict[str, int]]:
    """A flood of so many seconds in another process; how its calls ended is there when the block is over."""
    ends: dict[str, int] = {}
    command = [sys.executable, "-m", "benchmarks.floods", "--address", address, "--kind", kind]
    flood = await asyncio.create_subprocess_exec(
        *command, "--seconds", str(seconds), stdout=asyncio.subprocess.PIPE
    )
    assert flood.stdout is not None
    try:
        await flood.stdout.readuntil(BEGUN.encode())
        yield ends
        ends.update(json.loads(await flood.stdout.read()))
    finally:
        if flood.returncode is None:
            flood.kill()
        await flood.wait()


async def _flood(address: str, call: Call, seconds: float) -> dict[str, int]:
    text = load_mix().texts[0]
    ends: Counter[str] = Counter()
    async with Client(address, retry=RetryPolicy(max_attempts=1)) as client:
        await client.wait_ready()
        until = time.monotonic() + seconds

        async def caller() -> None:
            while time.monotonic() < until:
                end = await _end_of(call(client, text))
                ends[end] += 1
                if end != "OK":
                    await asyncio.sleep(PAUSE_S)

        print(BEGUN, flush=True)
        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return dict(ends)


async def _end_of(call: Awaitable[object]) -> str:
    try:
        await call
    except ConvertError as error:
        return error.code.name
    except TimeoutError:
        return "left"
    return "OK"


async def _sized(client: Client, text: str, *, code_points: int) -> None:
    await client.convert((text * code_points)[:code_points])


async def _cancelled(client: Client, text: str) -> None:
    await asyncio.wait_for(client.convert(text), LEAVES_S)


async def _expired(client: Client, text: str) -> None:
    await client.convert(text, timeout_s=EXPIRES_S)


KINDS: dict[str, Call] = {
    "tiny": partial(_sized, code_points=1),
    "long": partial(_sized, code_points=INTERACTIVE_CODE_POINTS),
    "huge": partial(_sized, code_points=HUGE),
    "cancelled": _cancelled,
    "expired": _expired,
}

if __name__ == "__main__":
    sys.exit(main())
