"""One runner and the thread that alone calls it, or a thread for each of its streams.

    loop:    give ---> inbox ---> thread:  pad -> runner.run -> (bisect) ---> finished, on the thread
    loop:    take_back <- whatever no thread has taken yet

It does not retry. When a batch fails, the runner is first asked something with a known answer. If it
answers wrongly, or fails again, it is the one at fault, and everything it has is given back. Else the batch
is run again in halves until the entries at fault are known. Two faults are nobody's: a GPU out of memory,
which all entries are told, and a lost one, which breaks the runner at once.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import NotRequired, TypedDict

import numpy as np

from hanjaserve.server.entry import Batch
from hanjaserve.server.errors import DeviceLost, HanjaserveError, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.runners.base import Runner, streams_of
from hanjaserve.server.shapes import SCORE_ONE, Int32, pad

logger = logging.getLogger(__name__)

Outcome = Int32 | HanjaserveError


@dataclass(slots=True, frozen=True, kw_only=True, eq=False)
class Work:
    """A batch and the tokens of its entries, in their order."""

    batch: Batch
    arrays: list[Int32]


class RunnerBroken(Exception):
    """A runner fails what it passed when it was opened.

    Attributes:
        reason: "wrong_answer" or "device_lost".
    """

    def __init__(self, message: str, reason: str = "wrong_answer") -> None:
        super().__init__(message)
        self.reason = reason


Check = Callable[[Runner], None]
Finished = Callable[["Worker", Work, list[Outcome] | RunnerBroken, float], None]


class WorkerSettings(TypedDict):
    """What every worker is made with beside its runner; see `Worker`."""

    pad_id: int
    top_k: int | None
    clock: Callable[[], float]
    name: str
    check: NotRequired[Check | None]
    check_every_s: NotRequired[float]


class Worker:
    """Runs batches, as many at a time as the runner can.

    Everything but `finished` is called on the event loop.

    Attributes:
        runner: What computes.
        outstanding: Batches given and not yet finished: up to `depth` run, more wait.
        depth: Batches that run at a time.
        threads: That call the runner.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        pad_id: int,
        top_k: int | None,
        clock: Callable[[], float],
        name: str,
        check: Check | None = None,
        check_every_s: float = 5.0,
    ) -> None:
        self.runner = runner
        self.outstanding = 0
        self.depth = self.threads = streams_of(runner)
        self._begun: dict[Work, float] = {}  # batches that run; written by the threads
        self._check = check
        self._check_every_s = check_every_s
        self._checked_at = clock()
        self._given: deque[Work] = deque()
        self._pad_id = pad_id
        self._top_k = top_k
        self._clock = clock
        self._name = name
        self._inbox: SimpleQueue[Work | None] = SimpleQueue()
        self._waiting: Work | None = None
        self._threads: list[threading.Thread] = []
        self._left = 0
        self._leaving = threading.Lock()

    @property
    def busy_since(self) -> float | None:
        """When the batch was begun that has been running longest; None if none runs."""
        return min(self._begun.copy().values(), default=None)

    def start(self, finished: Finished) -> None:
        """Begin to work; `finished` is called on a thread, with the seconds that a batch took."""
        self._threads = [
            threading.Thread(target=self._live, args=(finished,), name=f"{self._name}-{n + 1}", daemon=True)
            for n in range(self.threads)
        ]
        self._left = len(self._threads)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Close the runner once everything given has been run."""
        self._inbox.put(None)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the runner is closed, but no longer than `timeout_s`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))

    def abandon(self) -> list[Work]:
        """Give nothing more to the thread; returns what has not come back, the one that runs first."""
        with suppress(Empty):
            while True:
                self._inbox.get_nowait()
        self._inbox.put(None)
        return list(self._given)

    def give(self, work: Work) -> None:
        """Run a batch as soon as those before it are done."""
        self.outstanding += 1
        self._given.append(work)
        self._waiting = work if self.outstanding > self.depth else None
        self._inbox.put(work)

    @property
    def waiting(self) -> Work | None:
        """The batch that waits behind the running ones, if any; the thread may just have taken it."""
        return self._waiting

    def take_back(self) -> Work | None:
        """Take the waiting batch back; None if there is none or the thread was faster."""
        if self._waiting is None:
            return None
        self._waiting = None
        try:
            work = self._inbox.get_nowait()
        except Empty:
            return None
        if work is None:
            self._inbox.put(None)
            return None
        self.outstanding -= 1
        self._given.remove(work)
        return work

    def settle(self, work: Work) -> None:
        """Note that a batch has finished, so that the thread takes the waiting one."""
        self.outstanding -= 1
        self._given.remove(work)
        self._waiting = None

    # ---- on a thread

    def _live(self, finished: Finished) -> None:
        """Work, and close the runner if no other thread uses it any more."""
        self._work(finished)
        self._inbox.put(None)  # for the other threads
        with self._leaving:
            self._left -= 1
            last = not self._left
        if last:
            self.runner.close()

    def _work(self, finished: Finished) -> None:
        while work := self._inbox.get():
            self._begun[work] = started = self._clock()
            tokens = pad(work.arrays, self._pad_id)
            result = self._examined(work.arrays, tokens, partial(self.runner.run, tokens))
            del self._begun[work]
            finished(self, work, result, self._clock() - started)
            if isinstance(result, RunnerBroken):
                break
            # A waiting thread must not keep the arrays of its last batch alive.
            del work, tokens, result

    def _examined(
        self, arrays: Sequence[Int32], tokens: Int32, result: Callable[[], Int32]
    ) -> list[Outcome] | RunnerBroken:
        """Take the result of a batch, and ask now and then before the outcomes are believed."""
        try:
            outcomes = self._compute(arrays, tokens, result)
            if self._clock() - self._checked_at >= self._check_every_s:
                self._ask()
        except RunnerBroken as broken:
            return broken
        return outcomes

    def _ask(self) -> None:
        """Raise RunnerBroken if the runner does not know what it should."""
        if self._check is None:
            return
        try:
            self._check(self.runner)
        except Exception as error:
            logger.error("runner %s fails its check: %s", self.runner.name, error)
            raise RunnerBroken(str(error), _reason(error)) from error
        self._checked_at = self._clock()

    def _compute(
        self, arrays: Sequence[Int32], tokens: Int32, result: Callable[[], Int32], *, trusted: bool = False
    ) -> list[Outcome]:
        """Take the result of a batch; if entries are at fault, run its halves, so that only those fail."""
        name = self.runner.name
        try:
            return self._outcomes(result(), tokens, arrays)
        except Exception as error:
            # The traceback holds no user text: runners see token ids only, and messages are ours.
            shape = f"{len(arrays)} x {max(map(len, arrays))}"
            logger.warning("runner %s failed on a batch of %s tokens", name, shape, exc_info=error)
            if isinstance(error, OutOfDeviceMemory):
                return [error] * len(arrays)
            if isinstance(error, DeviceLost):
                raise RunnerBroken(str(error), _reason(error)) from error
            if not trusted:
                self._ask()
            if len(arrays) == 1:
                return [RuntimeFault(f"the runner {name} failed on this text")]
        half = len(arrays) // 2
        return [*self._compute_again(arrays[:half]), *self._compute_again(arrays[half:])]

    def _compute_again(self, arrays: Sequence[Int32]) -> list[Outcome]:
        tokens = pad(arrays, self._pad_id)
        return self._compute(arrays, tokens, partial(self.runner.run, tokens), trusted=True)

    def _outcomes(self, output: Int32, tokens: Int32, arrays: Sequence[Int32]) -> list[Outcome]:
        """Check candidates int32 [batch, tokens, k], and cut them into those of the entries."""
        wanted = (*tokens.shape, self._top_k or output.shape[-1])
        if output.shape != wanted or output.dtype != np.int32:
            raise RuntimeFault(
                f"the runner {self.runner.name} returned {output.dtype} {list(output.shape)} instead of "
                f"int32 {list(wanted)}: the engine does not fit the bundle, rebuild it"
            )
        # Some label is always probable; NaN, however it was cast, leaves a score of 0 or a sign.
        if np.any((tokens != self._pad_id) & ((output[..., 0] & SCORE_ONE) == 0)) or np.any(output < 0):
            raise RuntimeFault(f"the runner {self.runner.name} returned no probabilities (NaN or overflow)")
        # A copy, because a runner may use the same buffer for its next batch.
        copied = np.array(output, order="C")
        return [copied[row, : len(array)] for row, array in enumerate(arrays)]


def _reason(error: Exception) -> str:
    return "device_lost" if isinstance(error, DeviceLost) else "wrong_answer"
