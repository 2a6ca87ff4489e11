"""The highest rate that keeps a promise, by bisection: pure, but for the measurement that is handed in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.load import Load

ANSWERED = 0.97
"""A rate is kept if that share of the calls due is answered within the time of the load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the search found.

    Attributes:
        rate_per_s: The highest rate that kept the promise; 0 if none did.
        load: What was measured at it; None if none did.
        tried: Everything measured, in order.
    """

    rate_per_s: float
    load: Load | None
    tried: tuple[Load, ...]


def keeps(load: Load, p99_ms: float) -> bool:
    """Whether a load kept the promise: no errors, nothing piling up, the 99th percentile within its limit."""
    latency = load.latency_ms(0.99)
    if load.errors or latency is None or latency > p99_ms:
        return False
    return load.offered_per_s is None or load.texts_per_s >= ANSWERED * load.offered_per_s


async def highest_rate(
    measure: Callable[[float], Awaitable[Load]], *, most: float, p99_ms: float, steps: int
) -> Found:
    """Search between 0 and `most` calls per second.

    Args:
        measure: Loads with a rate.
        most: A rate that is surely too high.
        p99_ms: The limit of the 99th percentile.
        steps: How often to measure; each halves the interval.
    """
    kept, broken = 0.0, most
    best: Load | None = None
    tried = []
    for _ in range(steps):
        rate = (kept + broken) / 2
        load = await measure(rate)
        tried.append(load)
        if keeps(load, p99_ms):
            kept, best = rate, load
        else:
            broken = rate
    return Found(rate_per_s=kept, load=best, tried=tuple(tried))
