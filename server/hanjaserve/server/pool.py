"""Run encodings on the runners: the only place where the event loop and the threads meet.

Every runner has one thread, which alone calls it. The batcher lives on the loop and needs no lock:

    loop:    run() -> batcher -> batch ------> inbox of a runner's thread
    thread:  pad -> runner.run -> (bisect) --> loop.call_soon_threadsafe, once per batch
    loop:    outputs -> the futures of the calls

Work-conserving: an idle runner gets whatever waits, without a timer; the hand-over is only put off
to the end of the loop's current turn, so that requests read in the same turn share a batch. While a
runner is busy, its next batch is prefetched only once a full one waits. A smaller one stays open,
where it can still grow, shrink by cancellation, and be overtaken.

It does not retry. A batch that fails is run again in halves until the entries at fault are known.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import cast

import numpy as np

from hanjaserve.server.batcher import Batcher, Entry, Priority
from hanjaserve.server.errors import DeadlineExpired, Draining, HanjaserveError, RuntimeFault
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.shapes import Int32, pad
from hanjaserve.server.timing import CURRENT, Timing

logger = logging.getLogger(__name__)

Outcome = Int32 | HanjaserveError


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """One `run_each`: its inputs, and its outputs as they arrive."""

    arrays: Sequence[Int32]
    entries: list[Entry] = field(default_factory=list)
    outcomes: list[Outcome | None]
    missing: int
    future: asyncio.Future[None]
    timing: Timing | None


@dataclass(slots=True, frozen=True, kw_only=True)
class _Batch:
    """What goes to a thread and comes back."""

    entries: list[Entry]
    arrays: list[Int32]
    queued_until: float


class _Lane:
    """A runner, its thread and the batches given to it."""

    def __init__(self, runner: Runner, work: Callable[["_Lane"], None], name: str) -> None:
        self.runner = runner
        self.inbox: SimpleQueue[_Batch | None] = SimpleQueue()
        self.outstanding = 0
        self.thread = threading.Thread(target=work, args=(self,), name=name, daemon=True)


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
    ) -> None:
        self._batcher = batcher
        self._pad_id = pad_id
        self._top_k = top_k
        self._clock = clock
        self._lanes = [
            _Lane(runner, self._work, f"runner-{i}-{runner.name}") for i, runner in enumerate(runners)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feeding = False
        self._draining = False
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> "Pool":
        self._loop = asyncio.get_running_loop()
        for lane in self._lanes:
            lane.thread.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._draining = True
        for lane in self._lanes:
            lane.inbox.put(None)
        for lane in self._lanes:
            await asyncio.to_thread(lane.thread.join)

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
        if not tokens_list:
            return []
        call = self._put(tokens_list, priority, deadline)
        self._calls += 1
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
        now = self._clock()
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
                key=(call, index),
            )
            for index, array in enumerate(arrays)
        ]
        self._batcher.put_all(call.entries)
        if call.timing:
            call.timing.tokens += sum(entry.tokens for entry in call.entries)
        return call

    def _forget(self, call: _Call) -> None:
        """The caller has gone or has its answer: free whatever of it still waits."""
        if call.missing:
            for entry in call.entries:
                self._batcher.cancel(entry)
        # Entries know their call and the call its entries: do not leave that to the collector.
        call.entries = []
        self._calls -= 1
        if self._calls == 0:
            self._idle.set()

    def _feed_soon(self) -> None:
        if not self._feeding and self._loop is not None:
            self._feeding = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        """Give idle runners what waits, and busy ones a full batch in advance."""
        self._feeding = False
        self._expire()
        for outstanding, enough in ((0, 1), (1, self._batcher.max_batch_tokens)):
            for lane in self._lanes:
                if lane.outstanding == outstanding and self._batcher.queued_tokens >= enough:
                    self._give(lane)

    def _give(self, lane: _Lane) -> None:
        now = self._clock()
        entries = self._batcher.next_batch()
        arrays = []
        for entry in entries:
            call, index = _owner(entry)
            arrays.append(call.arrays[index])
            if call.timing:
                waited_us = int(1e6 * (now - entry.enqueued_at))
                call.timing.queue_us = max(call.timing.queue_us, waited_us)
        lane.outstanding += 1
        lane.inbox.put(_Batch(entries=entries, arrays=arrays, queued_until=now))

    def _expire(self) -> None:
        for entry in self._batcher.expired(self._clock()):
            fault = DeadlineExpired("the deadline passed while the text was queued")
            _deliver(entry, fault, 0)

    def _finished(self, lane: _Lane, batch: _Batch, outcomes: list[Outcome], seconds: float) -> None:
        lane.outstanding -= 1
        self._batcher.done(batch.entries, seconds)
        self._feed()  # first: the runner may be idle, the callers can wait
        run_us = int(1e6 * seconds)
        for entry, outcome in zip(batch.entries, outcomes, strict=True):
            _deliver(entry, outcome, run_us)

    # ---- on the runner's thread

    def _work(self, lane: _Lane) -> None:
        assert self._loop is not None
        while batch := lane.inbox.get():
            started = self._clock()
            outcomes = self._compute(lane.runner, batch.arrays)
            seconds = self._clock() - started
            self._loop.call_soon_threadsafe(self._finished, lane, batch, outcomes, seconds)
            # A waiting thread must not keep the arrays of its last batch alive.
            del batch, outcomes
        lane.runner.close()

    def _compute(self, runner: Runner, arrays: list[Int32]) -> list[Outcome]:
        """Run a batch; if it fails, run its halves, so that only the entries at fault fail."""
        try:
            output = self._checked(runner, pad(arrays, self._pad_id))
            return [output[row, : len(array)] for row, array in enumerate(arrays)]
        except Exception as error:
            shape = f"{len(arrays)} x {max(map(len, arrays))}"
            # The traceback holds no user text: runners see token ids only, and messages are ours.
            logger.warning("runner %s failed on a batch of %s tokens", runner.name, shape, exc_info=error)
            if len(arrays) == 1:
                return [RuntimeFault(f"the runner {runner.name} failed on this text")]
        half = len(arrays) // 2
        return self._compute(runner, arrays[:half]) + self._compute(runner, arrays[half:])

    def _checked(self, runner: Runner, tokens: Int32) -> Int32:
        output = runner.run(tokens)
        wanted = (*tokens.shape, self._top_k or output.shape[-1])
        if output.shape != wanted or output.dtype != np.int32:
            raise RuntimeFault(
                f"the runner {runner.name} returned {output.dtype} {list(output.shape)} instead of "
                f"int32 {list(wanted)}: the engine does not fit the bundle, rebuild it"
            )
        # A copy, because a runner may use the same buffer for its next batch.
        return np.array(output, order="C")


def _owner(entry: Entry) -> tuple[_Call, int]:
    return cast("tuple[_Call, int]", entry.key)


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
