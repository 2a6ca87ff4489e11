"""Three kinds of load, all through the Python client, none of them retrying.

- Closed loop: a fixed number of calls is always in flight. Tells the most that unary calls can do, and
  nothing about latency: when the server is slow, it is simply asked less often.
- Open loop: calls start at the times of a Poisson process, whatever became of the earlier ones, and
  latency counts from the time at which a call was *due*. So nothing is omitted when the server, or this
  process, falls behind (https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
- Bulk: one stream, as much as it takes.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from hanjaserve.client import Client, Conversion, ConvertError

SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one load measured.

    Attributes:
        name: Which load.
        seconds: How long it ran.
        texts: How many were answered well.
        code_points: How many those had.
        errors: How many were not, by gRPC status.
        offered_per_s: Calls that were due per second; None where the server sets the pace.
        latencies_s: One per text answered well, sorted; empty for bulk.
    """

    name: str
    seconds: float
    texts: int
    code_points: int
    errors: dict[str, int]
    offered_per_s: float | None = None
    latencies_s: tuple[float, ...] = ()

    @property
    def texts_per_s(self) -> float:
        """Texts answered well per second."""
        return self.texts / self.seconds

    def latency_ms(self, share: float) -> float | None:
        """A percentile of the latencies, in milliseconds."""
        if not self.latencies_s:
            return None
        index = min(int(share * len(self.latencies_s)), len(self.latencies_s) - 1)
        return 1000 * self.latencies_s[index]


class Recorder:
    """Collects what happens to calls."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.code_points = 0
        self.errors: dict[str, int] = {}

    async def call(self, client: Client, text: str, due: float) -> None:
        """Convert a text and note when it was answered."""
        try:
            await client.convert(text)
        except ConvertError as error:
            self.errors[error.code.name] = self.errors.get(error.code.name, 0) + 1
            return
        self.latencies_s.append(time.perf_counter() - due)
        self.code_points += len(text)

    def load(self, name: str, started: float, offered_per_s: float | None = None) -> Load:
        """What was measured, up to now."""
        return Load(
            name=name,
            seconds=time.perf_counter() - started,
            texts=len(self.latencies_s),
            code_points=self.code_points,
            errors=self.errors,
            offered_per_s=offered_per_s,
            latencies_s=tuple(sorted(self.latencies_s)),
        )


async def closed_loop(client: Client, texts: Sequence[str], *, in_flight: int, seconds: float) -> Load:
    """Keep `in_flight` unary calls going."""
    source, recorder = cycle(texts), Recorder()
    started = time.perf_counter()

    async def caller() -> None:
        while (now := time.perf_counter()) - started < seconds:
            await recorder.call(client, next(source), now)

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return recorder.load(f"unary, {in_flight} in flight", started)


async def open_loop(client: Client, texts: Sequence[str], *, rate_per_s: float, seconds: float) -> Load:
    """Start unary calls at the times of a Poisson process."""
    recorder = Recorder()
    tasks: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    for due_s, text in zip(arrivals(rate_per_s, seconds), cycle(texts), strict=False):
        wait_s = started + due_s - time.perf_counter()
        # A wait of 0 still lets the loop take in answers.
        await asyncio.sleep(max(0.0, wait_s))
        task = asyncio.create_task(recorder.call(client, text, started + due_s))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return recorder.load(f"unary, Poisson {rate_per_s:.0f}/s", started, rate_per_s)


def arrivals(rate_per_s: float, seconds: float) -> Iterator[float]:
    """The times of a Poisson process, in seconds from its start."""
    chance = random.Random(SEED)
    now = chance.expovariate(rate_per_s)
    while now < seconds:
        yield now
        now += chance.expovariate(rate_per_s)


async def bulk(client: Client, texts: Sequence[str], *, seconds: float) -> Load:
    """Stream texts for a while."""
    started = time.perf_counter()

    def source() -> Iterator[str]:
        for text in cycle(texts):
            if time.perf_counter() - started >= seconds:
                return
            yield text

    answered = code_points = 0
    errors: dict[str, int] = {}
    async for result in client.convert_stream(source()):
        if isinstance(result, Conversion):
            answered += 1
            code_points += len(result.text)
        else:
            errors[result.code.name] = errors.get(result.code.name, 0) + 1
    return Load(
        name="stream",
        seconds=time.perf_counter() - started,
        texts=answered,
        code_points=code_points,
        errors=errors,
    )
