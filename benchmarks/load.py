"""Kinds of load, on anything that converts texts; none of them retries.

- Closed loop: a fixed number of calls is always in flight. Tells the most that calls can do, and nothing
  about latency: when the server is slow, it is simply asked less often.
- Open loop: calls start at the times of a Poisson process, whatever became of the earlier ones, and
  latency counts from the time at which a call was *due*. So nothing is omitted when the server, or this
  process, falls behind (https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
- Flow: one stream of texts, as fast as results come back; or, in an open loop, each at its time.

Every load begins with a warm-up that is not recorded. What the load itself costs this process is.
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

SEED = 7
WINDOWS = 3
FLOW_WARM_TEXTS = 1024
PAUSE_S = 1e-4
"""Results that come closer together belong to one group."""
STABLE = 1.15
"""A load is stable if no third of it brought this much more than another one,"""
CHANCE = 4.0
"""or so many standard deviations of a Poisson process."""


class Refused(Exception):
    """A call failed; its argument says how, in one word."""


class Target(Protocol):
    """What is loaded: a server seen through a client."""

    async def convert(self, texts: Sequence[str]) -> None:
        """Convert texts in one call; raises Refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one load measured.

    Attributes:
        name: Which load.
        seconds: How long it was recorded.
        texts: How many were answered well.
        code_points: How many those had.
        errors: How many were not, by reason.
        latencies_s: One per call answered well, sorted; empty for a flow.
        windows: Texts answered in each third of the time.
        offered_per_s: Calls that were due per second; None where the server sets the pace.
        client_cpu_s: Processor seconds of this process, per second of the load.
        client_late_s: How late the latest call was started, after it was due.
    """

    name: str
    seconds: float
    texts: int
    code_points: int
    errors: dict[str, int]
    latencies_s: tuple[float, ...] = ()
    windows: tuple[int, ...]
    offered_per_s: float | None = None
    client_cpu_s: float
    client_late_s: float = 0.0

    @property
    def texts_per_s(self) -> float:
        """Texts answered well per second."""
        return self.texts / self.seconds

    @property
    def code_points_per_s(self) -> float:
        """Their code points per second."""
        return self.code_points / self.seconds

    @property
    def stable(self) -> bool:
        """Whether it went on as it began, or differs by no more than chance explains."""
        most, least = max(self.windows), min(self.windows)
        return most <= STABLE * least or most - least <= CHANCE * math.sqrt(most)

    def latency_ms(self, share: float) -> float | None:
        """A percentile of the latencies, in milliseconds."""
        if not self.latencies_s:
            return None
        index = min(int(share * len(self.latencies_s)), len(self.latencies_s) - 1)
        return 1000 * self.latencies_s[index]


class Recorder:
    """Notes what happens to calls from `begin` on."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.late_s = 0.0
        self._answers: list[tuple[float, float, int, int]] = []
        self._errors: dict[str, int] = {}
        self._started, self._cpu = time.perf_counter(), time.process_time()

    async def call(self, target: Target, texts: Sequence[str], due: float) -> None:
        """Convert texts and note when they were answered."""
        self.began(due)
        try:
            await target.convert(texts)
        except Refused as error:
            if due >= self.begin:
                self._errors[str(error)] = self._errors.get(str(error), 0) + 1
            return
        self.answered(texts, due)

    def began(self, due: float) -> None:
        """Note that what was due begins just now."""
        if due >= self.begin:
            self.late_s = max(self.late_s, time.perf_counter() - due)

    def answered(self, texts: Sequence[str], due: float) -> None:
        """Note that texts were answered just now."""
        now = time.perf_counter()
        self._answers.append((now, now - due, len(texts), sum(map(len, texts))))

    @property
    def last_answer(self) -> float:
        """When the latest texts were answered."""
        return max((at for at, _, _, _ in self._answers), default=self.begin + 1e-9)

    def load(self, name: str, end: float, offered_per_s: float | None = None, *, flow: bool = False) -> Load:
        """What was measured up to now.

        Throughput counts what was answered between `begin` and `end`, whenever it was due; latency what
        was due from `begin` on, whenever it was answered.
        """
        cpu = time.process_time() - self._cpu
        elapsed = time.perf_counter() - self._started
        seconds = end - self.begin
        windows = [0] * WINDOWS
        texts = code_points = 0
        for at, _, count, size in self._answers:
            if self.begin <= at <= end:
                texts, code_points = texts + count, code_points + size
                windows[min(int(WINDOWS * (at - self.begin) / seconds), WINDOWS - 1)] += count
        return Load(
            name=name,
            seconds=seconds,
            texts=texts,
            code_points=code_points,
            errors=dict(self._errors),
            latencies_s=() if flow else tuple(sorted(self._latencies())),
            windows=tuple(windows),
            offered_per_s=offered_per_s,
            client_cpu_s=cpu / elapsed,
            client_late_s=self.late_s,
        )

    def _latencies(self) -> Iterator[float]:
        for at, latency, _, _ in self._answers:
            if at - latency >= self.begin:
                yield latency


async def closed_loop(
    target: Target, texts: Sequence[str], *, in_flight: int, seconds: float, warm_s: float, batch: int = 1
) -> Load:
    """Keep `in_flight` calls of `batch` texts going."""
    source = cycle(texts)
    recorder = Recorder(time.perf_counter() + warm_s)
    end = recorder.begin + seconds

    async def caller() -> None:
        while (now := time.perf_counter()) < end:
            await recorder.call(target, [next(source) for _ in range(batch)], now)

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    name = f"{in_flight} calls of {batch} in flight" if batch > 1 else f"{in_flight} unary calls in flight"
    return recorder.load(name, end)


async def open_loop(
    target: Target, texts: Sequence[str], *, rate_per_s: float, seconds: float, warm_s: float, batch: int = 1
) -> Load:
    """Start calls of `batch` texts at the times of a Poisson process."""
    source = cycle(texts)
    started = time.perf_counter()
    recorder = Recorder(started + warm_s)
    async with asyncio.TaskGroup() as calls:
        async for due in _in_time(started, arrivals(rate_per_s, warm_s + seconds)):
            calls.create_task(recorder.call(target, [next(source) for _ in range(batch)], due))
    kind = f"batches of {batch}" if batch > 1 else "unary"
    return recorder.load(f"{kind}, Poisson {rate_per_s:.0f}/s", recorder.begin + seconds, rate_per_s)


async def _in_time(started: float, times: Iterable[float]) -> AsyncIterator[float]:
    """Each time of the clock, when it has come, or as soon after as the event loop gets to it."""
    for time_s in times:
        due = started + time_s
        # A wait of 0 still lets the loop take in answers.
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        yield due


def arrivals(rate_per_s: float, seconds: float) -> Iterator[float]:
    """The times of a Poisson process, in seconds from its start."""
    chance = random.Random(SEED)
    now = chance.expovariate(rate_per_s)
    while now < seconds:
        yield now
        now += chance.expovariate(rate_per_s)


class Flowing(Protocol):
    """A target that converts endless texts."""

    def flow(self, texts: Iterator[str] | AsyncIterator[str]) -> AsyncIterator[str]:
        """Convert texts as they come; yields the result of each, or of as many as there are."""


async def flow(
    target: Flowing, texts: Sequence[str], *, seconds: float, begun: asyncio.Event | None = None
) -> Load:
    """Stream texts for a while.

    Results come in order and in groups, and a thousand texts are under way. So recording begins at the end of
    the first group after as many have come, and ends with the last one within the time.

    Args:
        target: What is loaded.
        texts: Sent over and over.
        seconds: How long to record.
        begun: Set when recording begins.
    """
    recorder = Recorder(time.perf_counter())
    end = float("inf")

    def source() -> Iterator[str]:
        for text in cycle(texts):
            if time.perf_counter() >= end:
                return
            yield text

    came, last = 0, recorder.begin
    async for converted in target.flow(source()):
        now = time.perf_counter()
        if end == float("inf") and came >= FLOW_WARM_TEXTS and now - last > PAUSE_S:
            recorder.begin = last
            end = last + seconds
            if begun:
                begun.set()
        came, last = came + 1, now
        if now <= end < float("inf"):
            recorder.answered([converted], recorder.begin)
    return recorder.load("stream", recorder.last_answer, flow=True)


async def open_flow(
    target: Flowing, texts: Sequence[str], *, rate_per_s: float, seconds: float, warm_s: float
) -> Load:
    """Put texts into one stream at the times of a Poisson process.

    The latency of a text is that of its result, which comes in order. A stream that takes no more texts for a
    while makes them late; that counts, as they were due.
    """
    started = time.perf_counter()
    recorder = Recorder(started + warm_s)
    waiting: deque[tuple[str, float]] = deque()

    async def source() -> AsyncIterator[str]:
        times = _in_time(started, arrivals(rate_per_s, warm_s + seconds))
        for text in cycle(texts):
            if (due := await anext(times, None)) is None:
                return
            recorder.began(due)
            waiting.append((text, due))
            yield text

    async for _ in target.flow(source()):
        text, due = waiting.popleft()
        recorder.answered([text], due)
    return recorder.load(f"stream, Poisson {rate_per_s:.0f}/s", recorder.begin + seconds, rate_per_s)
