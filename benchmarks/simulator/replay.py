"""Play a trace through a policy and a cost model: an event loop over simulated time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.simulator.cost import Cost
from benchmarks.simulator.policies import Policy
from benchmarks.simulator.traces import Arrival, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One batch as it ran.

    Attributes:
        arrivals: What was in it.
        start_s: When it began.
        end_s: When it ended.
        computed_tokens: With padding.
    """

    arrivals: tuple[Arrival, ...]
    start_s: float
    end_s: float
    computed_tokens: int


@dataclass(slots=True)
class Replay:
    """What happened.

    Attributes:
        runners: How many batches could run at a time.
        runs: In the order in which they began.
        refused: Arrivals that were not taken.
    """

    runners: int = 1
    runs: list[Run] = field(default_factory=list)
    refused: list[Arrival] = field(default_factory=list)


def replay(trace: Trace, policy: Policy, cost: Cost, runners: int = 1) -> Replay:
    """Run everything, on so many runners."""
    return _Simulation(policy, cost, runners).play(trace.arrivals)


class _Simulation:
    """The runners, the slot for the batch in advance, and the clock."""

    def __init__(self, policy: Policy, cost: Cost, runners: int) -> None:
        self._policy = policy
        self._cost = cost
        self._runners = runners
        self._replay = Replay(runners)
        self._running: list[Run] = []
        self._in_advance: list[Arrival] = []

    def play(self, arrivals: Sequence[Arrival]) -> Replay:
        """Go from event to event: an arrival, the end of a batch, or the policy's own alarm."""
        waiting = iter(arrivals)
        arrival = next(waiting, None)
        while True:
            now = self._next_event(arrival)
            if math.isinf(now):
                return self._replay
            for run in [run for run in self._running if run.end_s <= now]:
                self._finish(run, now)
            while arrival is not None and arrival.at_s <= now:
                self._arrive(arrival, now)
                arrival = next(waiting, None)
            self._feed(now)

    def _next_event(self, arrival: Arrival | None) -> float:
        times = [math.inf if arrival is None else arrival.at_s]
        times += [run.end_s for run in self._running]
        if self._is_free and (alarm := self._policy.wake_at()) is not None:
            times.append(alarm)
        return min(times)

    def _arrive(self, arrival: Arrival, now: float) -> None:
        if not self._policy.put(arrival, now):
            self._replay.refused.append(arrival)
        elif self._in_advance and self._policy.gives_way(arrival):
            self._in_advance = []

    @property
    def _is_free(self) -> bool:
        return len(self._running) < self._runners

    def _finish(self, run: Run, now: float) -> None:
        self._running.remove(run)
        self._policy.done(run.arrivals, run.end_s - run.start_s)
        if self._in_advance:
            self._start(self._in_advance, now)
            self._in_advance = []

    def _feed(self, now: float) -> None:
        while self._is_free and (batch := self._policy.next_batch(now, idle=True)):
            self._start(batch, now + self._cost.hand_over_s)
        if not self._is_free and not self._in_advance:
            self._in_advance = self._policy.next_batch(now, idle=False)

    def _start(self, batch: Sequence[Arrival], at_s: float) -> None:
        longest = max(arrival.tokens for arrival in batch)
        # The runner pads to buckets of 8, whatever the policy.
        padded = -(-longest // 8) * 8
        run = Run(
            arrivals=tuple(batch),
            start_s=at_s,
            end_s=at_s + self._cost.seconds(len(batch), padded),
            computed_tokens=len(batch) * padded,
        )
        self._running.append(run)
        self._replay.runs.append(run)
