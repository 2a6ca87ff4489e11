"""Arrivals: who comes when, how long, how urgent, how patient. Seeded, so equal for every policy."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hanjaserve.server.batcher import Priority

SEED = 20
MAX_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One text.

    Attributes:
        number: Its place in the trace.
        at_s: When it comes.
        tokens: How long it is.
        priority: Its class.
        patience_s: How long its caller waits; None for ever.
    """

    number: int
    at_s: float
    tokens: int
    priority: Priority = Priority.INTERACTIVE
    patience_s: float | None = None

    @property
    def deadline_s(self) -> float | None:
        """When its caller gives up."""
        return None if self.patience_s is None else self.at_s + self.patience_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Arrivals in the order of time.

    Attributes:
        name: For the table.
        arrivals: At least one.
    """

    name: str
    arrivals: tuple[Arrival, ...]


def tokens_of(chance: random.Random) -> int:
    """A length: half court sentences, half texts of user interfaces, as in benchmarks/texts.py."""
    mean, deviation = chance.choice([(4.3, 0.6), (2.5, 0.7)])
    return max(1, min(MAX_TOKENS, round(chance.lognormvariate(mean, deviation))))


def steady(rate_per_s: float, seconds: float) -> Trace:
    """Poisson arrivals."""
    return Trace(
        name=f"steady, {rate_per_s:.0f}/s", arrivals=_numbered(_poisson(lambda _: rate_per_s, seconds))
    )


def bursts(rate_per_s: float, seconds: float, *, period_s: float = 1.0, share: float = 0.25) -> Trace:
    """The same number on average, but all within the first `share` of every period."""

    def rate(at_s: float) -> float:
        return rate_per_s / share if at_s % period_s < share * period_s else 0.0

    return Trace(name=f"bursts, {rate_per_s:.0f}/s", arrivals=_numbered(_poisson(rate, seconds)))


def beside_bulk(rate_per_s: float, seconds: float, *, texts: int) -> Trace:
    """Interactive calls while a bulk job of many texts is under way."""
    chance = random.Random(SEED + 1)
    bulk = [(0.0, tokens_of(chance), Priority.BULK, None) for _ in range(texts)]
    calls = _poisson(lambda _: rate_per_s, seconds)
    return Trace(name=f"{rate_per_s:.0f}/s beside bulk", arrivals=_numbered([*bulk, *calls]))


def impatient(rate_per_s: float, seconds: float, *, patience_s: float) -> Trace:
    """More than can be done, from callers that give up."""
    arrivals = [
        (at, tokens, priority, patience_s)
        for at, tokens, priority, _ in _poisson(lambda _: rate_per_s, seconds)
    ]
    return Trace(
        name=f"{rate_per_s:.0f}/s, patience {patience_s * 1000:.0f} ms", arrivals=_numbered(arrivals)
    )


Drawn = tuple[float, int, Priority, float | None]


def _poisson(rate: Callable[[float], float], seconds: float) -> list[Drawn]:
    """A Poisson process of varying rate, by thinning one of the greatest rate."""
    chance = random.Random(SEED)
    greatest = rate(0.0)

    def times() -> Iterator[float]:
        now = 0.0
        while (now := now + chance.expovariate(greatest)) < seconds:
            if chance.random() * greatest < rate(now):
                yield now

    return [(at, tokens_of(chance), Priority.INTERACTIVE, None) for at in times()]


def _numbered(drawn: list[Drawn]) -> tuple[Arrival, ...]:
    ordered = sorted(drawn, key=lambda one: one[0])
    return tuple(
        Arrival(number=number, at_s=at, tokens=tokens, priority=priority, patience_s=patience)
        for number, (at, tokens, priority, patience) in enumerate(ordered)
    )
