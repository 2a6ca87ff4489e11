"""How fast a runner is: device alone, through the runner, and one text at a time. Pure but for the clock."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hanjaserve.server.runners.base import OverlappingRunner, Runner
from hanjaserve.server.runners.buckets import Bucket
from hanjaserve.server.runners.tensorrt import TensorRtRunner
from hanjaserve.server.shapes import Int32

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of single calls.

    Attributes:
        p50_ms: Half were faster.
        p99_ms: 99 of 100 were.
        calls: How many there were.
    """

    p50_ms: float
    p99_ms: float
    calls: int


def device_rate(
    runner: TensorRtRunner, bucket: Bucket, seconds: float, clock: Clock = time.perf_counter
) -> float:
    """Tokens per second of a bucket, all lanes, copies included, no work on the host."""
    repeats = 4 * runner.depth
    runner.replay(bucket, repeats)
    while True:
        started = clock()
        runner.replay(bucket, repeats)
        elapsed_s = clock() - started
        if elapsed_s >= seconds / 2:
            return bucket.rows * bucket.tokens * repeats / elapsed_s
        repeats *= 2


def runner_rate(
    runner: Runner, batches: Sequence[Int32], seconds: float, clock: Clock = time.perf_counter
) -> float:
    """Tokens per second, padding included, with as many batches under way as the runner can have."""
    depth = runner.depth if isinstance(runner, OverlappingRunner) else 1
    tokens, under_way = 0, deque()  # type: ignore[var-annotated]
    for batch in batches[: 2 * depth]:
        runner.run(batch)
    started, number = clock(), 0
    while clock() - started < seconds:
        batch = batches[number % len(batches)]
        number += 1
        if isinstance(runner, OverlappingRunner):
            if len(under_way) == depth:
                under_way.popleft().result()
            under_way.append(runner.submit(batch))
        else:
            runner.run(batch)
        tokens += batch.size
    while under_way:
        under_way.popleft().result()
    return tokens / (clock() - started)


def latency(runner: Runner, batch: Int32, calls: int, clock: Clock = time.perf_counter) -> Latency:
    """How long one batch takes from call to answer, with nothing beside it."""
    for _ in range(10):
        runner.run(batch)
    taken = []
    for _ in range(calls):
        started = clock()
        runner.run(batch)
        taken.append(1e3 * (clock() - started))
    taken.sort()
    return Latency(p50_ms=taken[calls // 2], p99_ms=taken[min(calls - 1, 99 * calls // 100)], calls=calls)
