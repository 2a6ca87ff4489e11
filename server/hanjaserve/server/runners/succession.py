"""Which runner follows one that failed while it served: the next in the ladder, then a fresh start.

A runner that was pinned by name is only followed by a fresh one of its kind. Fresh starts are counted: a
machine on which runners keep failing should be looked at, and a process that leaves threads behind ends.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import AUTO, RUNGS, Rung, open_runner

logger = logging.getLogger(__name__)

MAX_STARTS, PER_S = 3, 600.0
"""Runners that may follow within so many seconds."""


class Succession:
    """Opens runners, one after the other; blocks, so it belongs on a thread.

    Attributes:
        steps: What was skipped or has failed, each with its reason.
    """

    def __init__(
        self,
        bundle: Bundle,
        requested: str = AUTO,
        threads: int = 0,
        *,
        rungs: tuple[Rung, ...] = RUNGS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps: tuple[str, ...] = ()
        self._bundle, self._requested, self._threads = bundle, requested, threads
        self._rungs = rungs
        self._clock = clock
        self._failed: set[str] = set()
        self._current = ""
        self._starts: deque[float] = deque()

    def first(self) -> Runner:
        """Open the best runner; see `open_runner` for what it raises."""
        return self._open(self._rungs)

    def next(self) -> Runner:
        """Open the one that follows the current one, which has failed.

        Raises:
            RuntimeFault: Too many have failed of late.
            HanjaserveError: None can be opened.
        """
        now = self._clock()
        while self._starts and now - self._starts[0] > PER_S:
            self._starts.popleft()
        if len(self._starts) >= MAX_STARTS:
            raise RuntimeFault(
                f"{MAX_STARTS + 1} runners have failed within {PER_S:g} s: look at the log and the machine"
            )
        self._starts.append(now)
        self._failed.add(self._current)
        left = tuple(rung for rung in self._rungs if rung.name not in self._failed)
        if self._requested == AUTO and left:
            try:
                return self._open(left)
            except RuntimeFault:
                logger.warning("no other runner serves; the ladder begins anew")
        self._failed.clear()
        return self._open(self._rungs)

    def _open(self, rungs: tuple[Rung, ...]) -> Runner:
        runner, steps = open_runner(
            self._bundle, self._requested, self._threads, rungs=tuple(map(self._noting, rungs))
        )
        failed = tuple(f"{name}: failed while it served" for name in sorted(self._failed))
        self.steps = (*failed, *steps)
        return runner

    def _noting(self, rung: Rung) -> Rung:
        def open_and_note(bundle: Bundle, threads: int) -> Runner:
            runner = rung.open(bundle, threads)
            self._current = rung.name
            return runner

        return replace(rung, open=open_and_note)
