"""What a replay comes to: throughput, waste, latencies."""

from dataclasses import dataclass

from benchmarks.simulator.replay import Replay
from benchmarks.simulator.traces import Arrival, Trace
from hanjaserve.server.batcher import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One policy on one trace.

    Attributes:
        texts_per_s: Texts answered in time, per second until the last one is answered.
        in_time: The share of all texts that were.
        padding: The share of computed tokens that was padding.
        busy: The share of the time in which the runners ran.
        p50_ms: Median latency of the interactive texts answered in time.
        p99_ms: And their 99th percentile.
    """

    texts_per_s: float
    in_time: float
    padding: float
    busy: float
    p50_ms: float
    p99_ms: float


def summarize(trace: Trace, replay: Replay) -> Summary:
    """Sum up; raises if a text was lost, came twice, or ran before it had come."""
    check(trace, replay)
    seconds = max(run.end_s for run in replay.runs)
    answered = [
        (arrival, run.end_s - arrival.at_s)
        for run in replay.runs
        for arrival in run.arrivals
        if arrival.patience_s is None or run.end_s <= arrival.at_s + arrival.patience_s
    ]
    latencies = sorted(late for arrival, late in answered if arrival.priority != Priority.BULK)
    computed = sum(run.computed_tokens for run in replay.runs)
    used = sum(arrival.tokens for run in replay.runs for arrival in run.arrivals)
    return Summary(
        texts_per_s=len(answered) / seconds,
        in_time=len(answered) / len(trace.arrivals),
        padding=1 - used / computed,
        busy=sum(run.end_s - run.start_s for run in replay.runs) / seconds / replay.runners,
        p50_ms=1000 * percentile(latencies, 0.5),
        p99_ms=1000 * percentile(latencies, 0.99),
    )


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` of the ordered values lie; NaN of none."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def check(trace: Trace, replay: Replay) -> None:
    """See that the simulator itself is honest.

    Raises:
        AssertionError: Says what can't have happened.
    """
    seen: set[int] = {arrival.number for arrival in replay.refused}
    free_at = [0.0] * replay.runners
    for run in sorted(replay.runs, key=lambda run: run.start_s):
        if run.start_s < min(free_at):
            raise AssertionError(f"a batch began at {run.start_s} s, before one of those before ended")
        free_at[free_at.index(min(free_at))] = run.end_s
        for arrival in run.arrivals:
            if arrival.number in seen:
                raise AssertionError(f"text {arrival.number} was answered twice")
            if run.start_s < arrival.at_s:
                raise AssertionError(f"text {arrival.number} ran before it came")
            seen.add(arrival.number)
    lost = [a for a in trace.arrivals if a.number not in seen and not _may_vanish(a)]
    if lost:
        raise AssertionError(f"{len(lost)} texts were lost, the first is {lost[0]}")


def _may_vanish(arrival: Arrival) -> bool:
    """Whoever gives up may be forgotten."""
    return arrival.patience_s is not None
