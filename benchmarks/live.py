"""A soak of live text: many people type at once, and every key counts.

    python -m benchmarks.live --sessions 100 --seconds 60
    python -m benchmarks.live --sessions 2000 --seconds 120 --thinking-s 130

It reports how long it takes from a key until the first result that shows it (whatever the server merged),
and how many revisions were never answered, which must be none. The typists run in this process, so on a
small machine they take part of it: the result says how late their keys were, and a run whose typists lag is
no measurement.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import environment
from benchmarks.server import ServerFailed, running
from benchmarks.texts import load_mix
from benchmarks.typists import Key, keys_of
from hanjaserve.client import Client, ConvertError, LiveSegment, LiveSession

SEED = 11
CONNECTIONS = 8
"""Sessions share connections, as they would behind a proxy."""
START_S = 5.0
"""Over how long the first keys are spread."""
TOO_LATE_S = 0.02


@dataclass(slots=True)
class Record:
    """What all typists saw.

    Attributes:
        latencies_s: From each key to the first result that shows it.
        late_s: How much later than it should each key was sent.
        keys: Keys sent.
        lost: Revisions without an answer at the end.
        wrong: Sessions whose document was not converted in full at the end.
        errors: Sessions that failed, by reason.
    """

    latencies_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    keys: int = 0
    lost: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, object]:
        """As numbers."""
        return {
            "keys": self.keys,
            "shown": len(self.latencies_s),
            "lost_revisions": self.lost,
            "incomplete_documents": self.wrong,
            "errors": self.errors,
            "interim_ms": _percentiles(self.latencies_s),
            "typist_late_ms": _percentiles(self.late_s),
        }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {
        name: round(1e3 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)
        for name, share in shares.items()
        if ordered
    }


async def soak(
    address: str, texts: Sequence[str], *, sessions: int, seconds: float, thinking_s: float = 0.0
) -> Record:
    """Have so many people type for so long; see `keys_of`."""
    record = Record()
    clients = [Client(address) for _ in range(min(CONNECTIONS, sessions))]
    try:
        typists = []
        for number in range(sessions):
            chance = random.Random(SEED * 1_000_003 + number)
            text = "\n".join(chance.choices(texts, k=1 + int(seconds)))
            client = clients[number % len(clients)]
            due = time.perf_counter() + chance.uniform(0, thinking_s or min(START_S, seconds / 4))
            keys = keys_of(text, chance, thinking_s)
            typists.append(_type(client, keys, due, time.perf_counter() + seconds, record))
        await asyncio.gather(*typists)
    finally:
        for client in clients:
            await client.close()
    return record


async def _type(client: Client, keys: Iterator[Key], due: float, end: float, record: Record) -> None:
    """One person, from `due` to `end`."""
    waiting: deque[tuple[int, float]] = deque()
    try:
        async with client.live(timeout_s=60) as live:
            watching = asyncio.create_task(_watch(live, waiting, record))
            for revision, key in enumerate(keys, start=1):
                due += key.after_s
                if due > end:
                    break
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                now = time.perf_counter()
                record.late_s.append(now - due)
                record.keys += 1
                waiting.append((revision, now))
                await live.edit_places([key.splice])
        await watching
        record.lost += live.revision - live.view.done
        record.wrong += not live.view.is_complete
    except ConvertError as error:
        record.errors[error.code.name] = record.errors.get(error.code.name, 0) + 1


async def _watch(live: LiveSession, waiting: deque[tuple[int, float]], record: Record) -> None:
    async for event in live.events():
        now = time.perf_counter()
        while isinstance(event, LiveSegment) and waiting and waiting[0][0] <= event.revision:
            record.latencies_s.append(now - waiting.popleft()[1])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the soak; the exit code is 1 if a revision was lost or a session failed."""
    arguments = _parser().parse_args(argv)
    mix = load_mix()
    if arguments.target:
        record = asyncio.run(_soak(arguments.target, mix.texts, arguments))
    else:
        from hanjaserve.models import default_bundle_path

        bundle = Path(arguments.bundle or default_bundle_path())
        flags = ["--max-concurrent-rpcs", str(arguments.sessions + 64)]
        try:
            with running(bundle, flags=flags) as server:
                record = asyncio.run(_soak(server.address, mix.texts, arguments))
        except ServerFailed as error:
            _parser().error(str(error))
    summary = record.summary()
    result = {
        "sessions": arguments.sessions,
        "seconds": arguments.seconds,
        "thinking_s": arguments.thinking_s,
        **summary,
        "environment": environment(),
    }
    if arguments.out:
        add_run(arguments.out, result)
    print(json.dumps({"sessions": arguments.sessions, "seconds": arguments.seconds, **summary}, indent=1))
    if record.late_s and sorted(record.late_s)[len(record.late_s) * 99 // 100] > TOO_LATE_S:
        print("the typists lagged: too many for this machine, the latencies mean nothing", file=sys.stderr)
    return 1 if record.lost or record.wrong or record.errors else 0


def add_run(path: Path, run: dict[str, object]) -> None:
    """Put a run behind those that the file has."""
    runs = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
    found = {"kind": "live", "runs": [*runs, run]}
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")


async def _soak(address: str, texts: Sequence[str], arguments: argparse.Namespace) -> Record:
    return await soak(
        address,
        texts,
        sessions=arguments.sessions,
        seconds=arguments.seconds,
        thinking_s=arguments.thinking_s,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description="Many people type at once."
    )
    parser.add_argument("--sessions", type=int, default=200, help="people; default 200")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they type; default 30")
    parser.add_argument(
        "--thinking-s", type=float, default=0.0,
        help="mean pause, now and then, at the end of a word; default that of a copyist",
    )  # fmt: skip
    parser.add_argument("--bundle", help="what the server serves; default the bundled model")
    parser.add_argument("--target", help="a server that runs already; else one is started")
    parser.add_argument("--out", type=Path, help="JSON file to add the result to, with machine and commit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
