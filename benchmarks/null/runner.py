"""The runner: keeps every syllable, after the time that a cost model gives.

It sleeps rather than spins, since a GPU leaves the processor to others. A sleep lasts longer than it should;
by how much is measured when the runner is opened, and taken off.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.simulator.cost import Cost
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.rung import Rung
from hanjaserve.server.shapes import SCORE_ONE, Int32

TRIALS, TRIAL_S = 50, 0.5e-3


class NullRunner:
    """See above, and `runners.base.Runner`.

    Args:
        cost: What a batch takes.
        top_k: Candidates per token.
        sleep: Waits; it may wait too long.
        clock: Seconds.

    Attributes:
        late_s: How much longer than asked for a sleep lasts.
    """

    def __init__(
        self,
        cost: Cost,
        top_k: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = f"null, {1e6 * cost.batch_s:g} us a batch, {1e6 * cost.token_s:g} us a token"
        self._cost, self._top_k = cost, top_k
        self._sleep, self._clock = sleep, clock
        self.late_s = statistics.median(self._lateness() for _ in range(TRIALS))

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`: every best label is KEEP, and certain."""
        begun = self._clock()
        output = np.zeros((*tokens.shape, self._top_k), dtype=np.int32)
        output[..., 0] = SCORE_ONE
        left = begun + self._cost.seconds(*tokens.shape) - self._clock() - self.late_s
        if left > 0:
            self._sleep(left)
        return output

    def close(self) -> None:
        """See `Runner.close`."""

    def _lateness(self) -> float:
        begun = self._clock()
        self._sleep(TRIAL_S)
        return self._clock() - begun - TRIAL_S


def null_rung(cost: Cost) -> Rung:
    """The only rung of a server that computes nothing; it can travel to an engine process."""
    return Rung(name="null", device="none", open=partial(_open, cost))


def _open(cost: Cost, bundle: Bundle, threads: int) -> Runner:
    return NullRunner(cost, bundle.manifest.top_k)
