"""Run encodings on the runners: the only place where the event loop and the threads meet.

Every runner has one thread (worker.py). The batcher lives on the loop and needs no lock:

    loop:    run() -> batcher -> batch ------> inbox of a worker's thread
    thread:  pad -> runner.run -> (bisect) --> loop.call_soon_threadsafe, once per batch
    loop:    outputs -> the futures of the calls

Work-conserving: an idle runner gets whatever waits, without a timer; the hand-over is only put off
to the end of the loop's current turn, so that requests read in the same turn share a batch. While a
runner is busy, its next batch is prefetched once a full one waits. It is taken back, as long as the
thread has not, when something more urgent comes or a caller leaves: prefetching decides nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hanjaserve.server.batcher import Batcher, Entry, Priority
from hanjaserve.server.crew import Crew, Watch
from hanjaserve.server.errors import DeadlineExpired, Draining, HanjaserveError, RuntimeFault
from hanjaserve.server.observer import BatchReport, Blind, Observer
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.shapes import Int32
from hanjaserve.server.timing import CURRENT, FLOW, SPAN, Timing
from hanjaserve.server.worker import Outcome, RunnerBroken, Work, Worker

__all__ = ["Outcome", "Pool"]

NO_RUNNER = "no runner is left: send the text to another server; this one has to be started again"


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """One `run_each`: its inputs, and its outputs as they arrive."""

    arrays: Sequence[Int32]
    entries: list[Entry] = field(default_factory=list)
    outcomes: list[Outcome | None]
    missing: int
    future: asyncio.Future[None]
    timing: Timing | None


class Pool:
    """Runners behind one queue. Use it as an async context manager, on one event loop.

    Example:
        async with Pool([runner], batcher) as pool:
            candidates = await pool.run([tokens])
    """

    def __init__(
        self,
        runners: Sequence[Runner],
        batcher: Batcher,
        *,
        pad_id: int = 0,
        top_k: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
        watch: Watch | None = None,
        revision: str = "",
    ) -> None:
        self._batcher = batcher
        self._observer = observer or Blind()
        self._revision = revision
        self._clock = clock
        self._crew = Crew(
            runners, watch=watch or Watch(), pad_id=pad_id, top_k=top_k, observer=observer, clock=clock
        )
        self._workers = self._crew.workers
        # Entries whose batch went down with a runner; twice is enough.
        self._suspects: set[Entry] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feeding = False
        self._draining = False
        self._calls: set[_Call] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> "Pool":
        self._loop = asyncio.get_running_loop()
        self._crew.start(self._hand_over, self._crew_changed)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._draining = True
        await self._crew.stop()

    @property
    def dead(self) -> asyncio.Event:
        """Set once no runner is left, and none is to be had."""
        return self._crew.dead

    @property
    def device_lost(self) -> bool:
        """A runner has lost its GPU, so that only a new process can use it again."""
        return self._crew.device_lost

    @property
    def runner_names(self) -> tuple[str, ...]:
        """What computes at the moment."""
        return tuple(worker.runner.name for worker in self._workers)

    async def drain(self) -> None:
        """Refuse new calls with `Draining` and wait until those under way have finished."""
        self._draining = True
        await self._idle.wait()

    async def run(
        self,
        tokens_list: Sequence[Int32],
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> list[Int32]:
        """Compute the candidates of every encoding; see `run_each`.

        Returns:
            One int32 [tokens, k] array per encoding.

        Raises:
            RuntimeFault: The runner failed on one of them.
        """
        outputs = []
        for outcome in await self.run_each(tokens_list, priority=priority, deadline=deadline):
            if isinstance(outcome, HanjaserveError):
                raise outcome
            outputs.append(outcome)
        return outputs

    async def run_each(
        self,
        tokens_list: Sequence[Int32],
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> list[Outcome]:
        """Compute the candidates of every encoding, or say why a single one failed.

        All are queued in one go, or none. When the awaiting task is cancelled or the deadline
        passes, those still queued leave the queue at once, without being computed.

        Args:
            tokens_list: One int32 [tokens] array per encoding, none of them empty.
            priority: The class in which they wait.
            deadline: When the caller gives up, on the clock of the pool (`time.monotonic`).

        Returns:
            Per encoding an int32 [tokens, k] array, or the RuntimeFault that it caused.

        Raises:
            Draining: The server is shutting down.
            Overloaded: The queue is full or the deadline too near.
            DeadlineExpired: The deadline passed.
        """
        if self._draining or self._loop is None:
            raise Draining("the server is shutting down: send the text to another one")
        if self._crew.dead.is_set():
            raise Draining(NO_RUNNER)
        if not tokens_list:
            return []
        call = self._put(tokens_list, priority, deadline)
        self._calls.add(call)
        self._idle.clear()
        self._feed_soon()
        try:
            left = None if deadline is None else deadline - self._clock()
            async with asyncio.timeout(left):
                await call.future
        except TimeoutError:
            raise DeadlineExpired("the deadline passed before the text was converted") from None
        finally:
            self._forget(call)
        return [outcome for outcome in call.outcomes if outcome is not None]

    # ---- on the loop

    def _put(self, arrays: Sequence[Int32], priority: Priority, deadline: float | None) -> _Call:
        now, flow, span = self._clock(), FLOW.get(), SPAN.get()
        call = _Call(
            arrays=arrays,
            outcomes=[None] * len(arrays),
            missing=len(arrays),
            future=asyncio.get_running_loop().create_future(),
            timing=CURRENT.get(),
        )
        call.entries = [
            Entry(
                tokens=len(array),
                priority=priority,
                deadline=deadline,
                enqueued_at=now,
                flow=flow,
                span=span,
                key=(call, index),
            )
            for index, array in enumerate(arrays)
        ]
        self._batcher.put_all(call.entries)
        self._make_way(call.entries[0])
        if call.timing:
            call.timing.tokens += sum(entry.tokens for entry in call.entries)
        return call

    def _forget(self, call: _Call) -> None:
        """The caller has gone or has its answer: free whatever of it still waits."""
        if call.missing:
            self._take_back(lambda work: any(_owner(entry)[0] is call for entry in work.batch.entries))
            for entry in call.entries:
                self._batcher.cancel(entry)
        # Entries know their call and the call its entries: do not leave that to the collector.
        self._suspects.difference_update(call.entries)
        call.entries = []
        self._calls.discard(call)
        if not self._calls:
            self._idle.set()

    def _feed_soon(self) -> None:
        if not self._feeding and self._loop is not None:
            self._feeding = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        """Give idle runners what waits, and busy ones a full batch in advance."""
        self._feeding = False
        self._expire()
        deepest = max((worker.depth for worker in self._workers), default=0)
        for outstanding in range(deepest + 1):
            for worker in self._workers:
                enough = 1 if outstanding < worker.depth else self._batcher.max_batch_tokens
                turn = worker.outstanding == outstanding <= worker.depth
                if turn and self._batcher.queued_tokens >= enough:
                    self._give(worker)

    def _give(self, worker: Worker) -> None:
        now = self._clock()
        batch = self._batcher.next_batch(now)
        assert batch is not None, "tokens are queued, but no entry is. This is a bug."
        arrays = []
        for entry in batch.entries:
            call, index = _owner(entry)
            arrays.append(call.arrays[index])
            if call.timing:
                waited_us = int(1e6 * (now - entry.enqueued_at))
                call.timing.queue_us = max(call.timing.queue_us, waited_us)
        worker.give(Work(batch=batch, arrays=arrays))

    def _make_way(self, newcomer: Entry) -> None:
        """Choose prefetched batches anew that the first entry of a call may overtake or join."""
        budget = self._batcher.max_batch_tokens
        self._take_back(lambda work: work.batch.gives_way_to(newcomer, budget))

    def _take_back(self, chosen: Callable[[Work], bool]) -> None:
        for worker in self._workers:
            if worker.waiting is not None and chosen(worker.waiting) and (work := worker.take_back()):
                self._batcher.take_back(work.batch)
                self._feed_soon()

    def _expire(self) -> None:
        for entry in self._batcher.expired(self._clock()):
            fault = DeadlineExpired("the deadline passed while the text was queued")
            _deliver(entry, fault, 0)

    def _finished(
        self, worker: Worker, work: Work, outcomes: list[Outcome] | RunnerBroken, seconds: float
    ) -> None:
        if worker not in self._workers:
            return  # it hung, and its work has gone elsewhere
        if isinstance(outcomes, RunnerBroken):
            self._crew.dismiss(worker, outcomes.reason)
            return
        worker.settle(work)
        self._batcher.done(work.batch, seconds)
        self._feed()  # first: the runner may be idle, the callers can wait
        report = BatchReport(
            runner=worker.runner.name,
            revision=self._revision,
            entries=work.batch.entries,
            outcomes=outcomes,
            computed_tokens=work.batch.computed_tokens,
            seconds=seconds,
        )
        self._observer.batch_ended(report)
        run_us = int(1e6 * seconds)
        for entry, outcome in zip(work.batch.entries, outcomes, strict=True):
            _deliver(entry, outcome, run_us)

    def _crew_changed(self, lost: Sequence[Work], running: int) -> None:
        """Queue again what a lost worker had; feed a new one; let nobody wait for none."""
        for number, work in enumerate(lost):
            entries = [entry for entry in work.batch.entries if self._may_run_again(entry)]
            if number < running:
                self._suspects.update(entries)
            self._batcher.take_back(replace(work.batch, entries=entries))
        if self._crew.dead.is_set():
            for call in tuple(self._calls):
                if not call.future.done():
                    call.future.set_exception(Draining(NO_RUNNER))
        self._feed_soon()

    def _may_run_again(self, entry: Entry) -> bool:
        if not _owner(entry)[0].entries:
            return False  # its caller has gone
        if entry in self._suspects:
            _deliver(entry, RuntimeFault("two runners went down with this text in their batch"), 0)
            return False
        return True

    # ---- on a worker's thread

    def _hand_over(
        self, worker: Worker, work: Work, outcomes: list[Outcome] | RunnerBroken, seconds: float
    ) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._finished, worker, work, outcomes, seconds)
        except RuntimeError:
            # A runner that hung and was left behind may come back after the server has ended.
            if not self._loop.is_closed():
                raise


def _owner(entry: Entry) -> tuple[_Call, int]:
    key: tuple[_Call, int] = entry.key  # type: ignore[assignment]
    return key


def _deliver(entry: Entry, outcome: Outcome, run_us: int) -> None:
    """Hand one outcome to its call, and wake the caller with the last one."""
    call, index = _owner(entry)
    if call.outcomes[index] is not None or call.future.done():
        return
    call.outcomes[index] = outcome
    call.missing -= 1
    if call.timing:
        call.timing.run_us = max(call.timing.run_us, run_us)
    if isinstance(outcome, DeadlineExpired):
        call.future.set_exception(outcome)
    elif call.missing == 0:
        call.future.set_result(None)
