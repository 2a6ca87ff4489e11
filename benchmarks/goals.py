"""The goals that the project set itself, and what the committed results say about each."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One number to reach.

    Attributes:
        title: What it is about.
        limit: The number.
        at_least: Whether it is to be reached, or not to be exceeded.
        kind: Which result it is read from.
        figure: Reads it; None if the result does not tell.
    """

    title: str
    limit: float
    at_least: bool
    kind: str
    figure: Callable[[dict[str, Any]], float | None]

    def row(self, results: Results) -> list[str]:
        """Title, limit, what was measured, and whether that is enough."""
        wanted = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        found = self.figure(results[self.kind]) if self.kind in results else None
        if found is None:
            return [self.title, wanted, "not measured", "–"]
        met = found >= self.limit if self.at_least else found <= self.limit
        return [self.title, wanted, f"{found:.2f}", "yes" if met else "**no**"]


def rows(results: Results) -> Iterator[list[str]]:
    """One row for every goal."""
    for goal in GOALS:
        yield goal.row(results)


def _efficiency(name: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda result: next(
        (row["efficiency"] for row in result["best"] if row["name"].startswith(name)), None
    )


def _best_peer(result: dict[str, Any]) -> float | None:
    rates = {name: row["rate_per_s"] for name, row in result["peers"].items() if row["rate_per_s"]}
    ours = rates.pop("hanjaserve", None)
    return ours / max(rates.values()) if ours and rates else None


def _against_pipeline(name: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda result: result["texts_per_s"][name] / result["texts_per_s"]["pipeline"]


def _tail(result: dict[str, Any]) -> float | None:
    full = result["search"]["rate_per_s"]
    near = [row for row in result["sweep"] if full and abs(row["offered_per_s"] / full - 0.7) < 0.01]
    return near[0]["p99_ms"] / near[0]["p50_ms"] if near else None


def alone_p99_ms(result: dict[str, Any]) -> float | None:
    """p99 of interactive calls with nothing beside them.

    The least of all runs at that rate: a pause of the machine in the one that the others are compared with
    would make them look better than they are.
    """
    alone = result["beside_bulk"]["alone"]
    same = [row for row in result["sweep"] if row["offered_per_s"] == alone.get("offered_per_s")]
    found = [alone["p99_ms"], *(one for row in same for one in row["each_p99_ms"])]
    return min((one for one in found if one), default=None)


def _beside_bulk(result: dict[str, Any]) -> float | None:
    alone = alone_p99_ms(result)
    return result["beside_bulk"]["beside"]["p99_ms"] / alone if alone else None


def _worst_flood(result: dict[str, Any]) -> float | None:
    alone, floods = alone_p99_ms(result), result.get("beside_floods")
    return max((row["p99_ms"] or float("inf")) / alone for row in floods) if alone and floods else None


def _two_against_one(result: dict[str, Any]) -> float | None:
    """The least gain of two front-ends over one, of all kinds of load."""
    gains = []
    for name in {row["name"] for row in result["rows"]}:
        of = {number: _texts_per_s(result, name, number) for number in (1, 2)}
        if of[1] and of[2]:
            gains.append(of[2] / of[1])
    return min(gains, default=None)


def _texts_per_s(result: dict[str, Any], name: str, frontends: int) -> float | None:
    rows = [row for row in result["rows"] if (row["name"], row["frontends"]) == (name, frontends)]
    return statistics.median(row["texts_per_s"] for row in rows) if rows else None


GOALS = (
    Goal(
        title="bulk stream, served / raw runner",
        limit=0.9,
        at_least=True,
        kind="serving",
        figure=_efficiency("stream"),
    ),
    Goal(
        title="unary at 64 in flight, served / raw runner",
        limit=0.7,
        at_least=True,
        kind="serving",
        figure=_efficiency("64 unary"),
    ),
    Goal(
        title="rate at p99 ≤ 50 ms, ours / the best peer's",
        limit=3,
        at_least=True,
        kind="peers",
        figure=_best_peer,
    ),
    Goal(
        title="same reference-shaped checkpoint, ours / the pipeline's",
        limit=8,
        at_least=True,
        kind="huggingface",
        figure=_against_pipeline("same checkpoint"),
    ),
    Goal(
        title="our default model / the reference's usage",
        limit=60,
        at_least=True,
        kind="huggingface",
        figure=_against_pipeline("default model"),
    ),
    Goal(
        title="p99 / p50 at 70 % of the highest rate", limit=3, at_least=False, kind="serving", figure=_tail
    ),
    Goal(
        title="p99 of interactive calls beside a bulk stream / alone",
        limit=3,
        at_least=False,
        kind="serving",
        figure=_beside_bulk,
    ),
    Goal(
        title="p99 of a caller's calls beside another's worst flood / alone",
        limit=3,
        at_least=False,
        kind="serving",
        figure=_worst_flood,
    ),
    Goal(
        title="memory growth over a million requests, MiB",
        limit=20,
        at_least=False,
        kind="soak",
        figure=lambda result: result["growth_mib"] if result["requests"] >= 1_000_000 else None,
    ),
    Goal(
        title="front-end, 64 texts a message, µs per text",
        limit=15,
        at_least=False,
        kind="stages",
        figure=lambda result: result["us_per_text"]["all"],
    ),
    Goal(
        title="the same with spans, for which the dictionary is looked up",
        limit=40,
        at_least=False,
        kind="stages",
        figure=lambda result: result["us_per_text_with_spans"]["all"],
    ),
    Goal(
        title="null runner, 2 front-ends / 1",
        limit=1,
        at_least=True,
        kind="frontends",
        figure=_two_against_one,
    ),
)
