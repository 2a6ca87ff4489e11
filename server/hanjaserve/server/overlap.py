"""A worker whose runner computes on a device, beside the thread, several batches at a time.

    thread:  take a batch -> submit ----------> take the next -> submit -> ...
    device:                  copy in, compute, copy out
    thread:  whichever is done -> result -> finished

One thread does it all, because a CUDA context likes to have one owner. While a batch is under way and there
is room for another, it waits for a new batch and looks at the device in between; once all places are
taken it blocks until the oldest has finished, which lets other threads run.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty
from typing import Unpack

from hanjaserve.server.runners.base import Flight, OverlappingRunner, Runner
from hanjaserve.server.shapes import Int32, pad
from hanjaserve.server.worker import Finished, RunnerBroken, Work, Worker, WorkerSettings

POLL_S = 100e-6
"""How often it looks whether a batch has finished; what that may add to the time of an answer."""


def worker_for(runner: Runner, **settings: Unpack[WorkerSettings]) -> Worker:
    """The worker that suits a runner."""
    kind = OverlappingWorker if isinstance(runner, OverlappingRunner) else Worker
    return kind(runner, **settings)


@dataclass(slots=True, kw_only=True, eq=False)
class _Flying:
    """A batch that was submitted, or the reason why it could not be."""

    work: Work
    tokens: Int32
    started: float
    flight: Flight | Exception

    def done(self) -> bool:
        return isinstance(self.flight, Exception) or self.flight.done()

    def result(self) -> Int32:
        if isinstance(self.flight, Exception):
            raise self.flight
        return self.flight.result()


class OverlappingWorker(Worker):
    """See above, and `Worker`. Its runner is an OverlappingRunner."""

    def __init__(self, runner: Runner, **settings: Unpack[WorkerSettings]) -> None:
        assert isinstance(runner, OverlappingRunner)
        super().__init__(runner, **settings)
        self.depth = runner.depth
        self._device = runner
        self._landed_at = 0.0

    def _work(self, finished: Finished) -> None:
        flying: deque[_Flying] = deque()
        stopping = broken = False
        while (flying or not stopping) and not broken:
            if not stopping and len(flying) < self.depth:
                stopping = not self._take(flying)
            full = stopping or len(flying) == self.depth
            landing = next((one for one in flying if one.done()), flying[0] if full and flying else None)
            if landing is not None:
                broken = self._land(landing, finished)
                flying.remove(landing)
                del self._begun[landing.work]
            del landing  # a waiting thread must not keep the arrays of its last batch alive
        for one in flying:  # given back to the pool, but the device still uses their memory
            with suppress(Exception):
                one.result()

    def _take(self, flying: deque[_Flying]) -> bool:
        """Submit the next batch if one comes in time; returns False if none will come any more."""
        try:
            work = self._inbox.get(timeout=POLL_S if flying else None)
        except Empty:
            return True
        if work is None:
            return False
        self._begun[work] = started = self._clock()
        tokens = pad(work.arrays, self._pad_id)
        try:
            flight: Flight | Exception = self._device.submit(tokens)
        except Exception as error:
            flight = error
        flying.append(_Flying(work=work, tokens=tokens, started=started, flight=flight))
        return True

    def _land(self, landing: _Flying, finished: Finished) -> bool:
        """Hand over what became of a batch; returns whether the runner is broken."""
        result = self._examined(landing.work.arrays, landing.tokens, landing.result)
        now = self._clock()
        # Batches share the device: what one of them costs is the time since the one before.
        seconds = now - max(landing.started, self._landed_at)
        self._landed_at = now
        finished(self, landing.work, result, seconds)
        return isinstance(result, RunnerBroken)
