"""The workers of a pool: watched, taken out of service when they fail, and replaced.

    hangs               no batch may take longer than `patience_s`
    answers wrongly     a question with a known answer, asked now and then and after every failure
    throws              asked as well: if it still answers rightly, the batch was at fault, and is halved
    loses its GPU       nothing in this process can use that again: the pool is dead, and the process ends

A thread can't be stopped from outside, so one that hangs is left behind, and its batch goes to the next
runner. Which one that is, the app says (`replace`); if there is none, the pool is dead.

Everything here is on the event loop but for `Worker`'s own thread.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hanjaserve.server.observer import Blind, Observer
from hanjaserve.server.overlap import worker_for
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.worker import Check, Finished, Work, Worker

logger = logging.getLogger(__name__)

OnChange = Callable[[Sequence[Work], int], None]
Replace = Callable[[], Awaitable[Runner]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How runners are watched.

    Attributes:
        patience_s: What takes longer is taken to hang.
        check: Asks a runner something with a known answer; raises if it is wrong.
        check_every_s: How often to ask while there is work.
        replace: Opens the next runner; raises if there is none.
    """

    patience_s: float = 30.0
    check: Check | None = None
    check_every_s: float = 5.0
    replace: Replace | None = None


class Crew:
    """The workers that are in service.

    Attributes:
        workers: Them.
        dead: Set once there is none and there will be none.
        device_lost: A GPU is of no use to this process any more.
    """

    def __init__(
        self,
        runners: Sequence[Runner],
        *,
        watch: Watch,
        pad_id: int,
        top_k: int | None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dead = asyncio.Event()
        self.device_lost = False
        self._watch = watch
        self._pad_id, self._top_k, self._clock = pad_id, top_k, clock
        self._observer = observer or Blind()
        self._hired = 0
        self.workers = [self._hire(runner) for runner in runners]
        self._finished: Finished | None = None
        self._on_change: OnChange | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, finished: Finished, on_change: OnChange) -> None:
        """Begin to work.

        Args:
            finished: Called on a worker's thread with what became of a batch.
            on_change: Called with the work of a worker that is out of service and how many of its
                batches may have been running, these first; and with nothing when another worker is
                there, or none will be.
        """
        self._finished, self._on_change = finished, on_change
        for worker in self.workers:
            worker.start(finished)
        self._spawn(self._look_for_hanging())

    async def stop(self) -> None:
        """Wait until every worker has done what it was given, and close the runners."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            await asyncio.to_thread(worker.join, self._watch.patience_s)

    def dismiss(self, worker: Worker, reason: str) -> None:
        """Take a worker out of service, once, and look for another."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        work = worker.abandon()
        fields = {"runner": worker.runner.name, "reason": reason, "left": len(self.workers)}
        logger.error("runner taken out of service", extra={"fields": fields})
        self._observer.runner_failed(reason)
        if reason == "device_lost":
            self.device_lost = True
            self.dead.set()
        else:
            self._spawn(self._replace())
        if self._on_change:
            self._on_change(work, worker.depth)

    async def _replace(self) -> None:
        try:
            if self._watch.replace is None:
                raise LookupError("nobody knows another runner")
            runner = await self._watch.replace()
        except Exception as error:
            logger.critical("no runner to take its place", extra={"fields": {"error": str(error)}})
            if not self.workers:
                self.dead.set()
        else:
            worker = self._hire(runner)
            self.workers.append(worker)
            assert self._finished is not None
            worker.start(self._finished)
            logger.warning("runner put into service", extra={"fields": {"runner": runner.name}})
        if self._on_change:
            self._on_change((), 0)

    async def _look_for_hanging(self) -> None:
        while True:
            await asyncio.sleep(self._watch.patience_s / 4)
            now = self._clock()
            for worker in tuple(self.workers):
                since = worker.busy_since
                if since is not None and now - since > self._watch.patience_s:
                    self.dismiss(worker, "hang")

    def _hire(self, runner: Runner) -> Worker:
        self._hired += 1
        return worker_for(
            runner,
            pad_id=self._pad_id,
            top_k=self._top_k,
            clock=self._clock,
            name=f"runner-{self._hired}-{runner.name}",
            check=self._watch.check,
            check_every_s=self._watch.check_every_s,
        )

    def _spawn(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
