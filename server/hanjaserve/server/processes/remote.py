"""What a front-end has in the place of a pool: jobs go over the link, and outcomes come back.

Back-pressure is what it is in one process. The queue is the engine's, and whatever its batcher refuses
comes back as the error that it raised; a ring without room is refused here, in the same way. A call that is
cancelled, or whose deadline passes, tells the engine, which takes it out of the queue.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

from hanjaserve.server.batcher import Priority
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.converter import Converter
from hanjaserve.server.errors import BundleError, DeadlineExpired, Draining, Overloaded
from hanjaserve.server.metrics import Facts
from hanjaserve.server.observer import Observer
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.link import REQUEST_BYTES, Link
from hanjaserve.server.processes.ring import RingBroken
from hanjaserve.server.processes.wire import Cancel, Done, Failed, Outcome, Run, decode, encode, flow_number
from hanjaserve.server.readings import READINGS, ReadingTable
from hanjaserve.server.shapes import Int32
from hanjaserve.server.timing import CURRENT, FLOW, TRACEPARENT
from hanjaserve.server.words import Words

RETRY_WHEN_FULL_S = 0.2
LOST = "the engine process has ended, and another one is being started: retry in a moment"


class RemotePool:
    """Runs encodings in the engine process; an `Engine` of converter.py. For one event loop.

    Args:
        descriptors: A front-end's end of a link.
        restart_s: How long an engine takes to start, as far as is known; callers are told to come back then.
        clock: That of the deadlines.
        request_bytes: See `Link`.

    Attributes:
        dead: Set once the engine is gone.
        restart_s: See above.
        device_lost: Never; that is the engine's affair.
    """

    device_lost = False

    def __init__(
        self,
        descriptors: Sequence[int],
        *,
        restart_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self.dead = asyncio.Event()
        self.restart_s = restart_s
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._link = Link(
            descriptors, self._receive, self._lose, is_engine=False, request_bytes=request_bytes
        )

    async def run_each(
        self,
        tokens_list: Sequence[Int32],
        *,
        priority: Priority = Priority.INTERACTIVE,
        deadline: float | None = None,
    ) -> list[Outcome]:
        """See `converter.Engine.run_each`.

        Raises:
            Draining: The engine is gone; with a hint when to retry.
            Overloaded: Its queue is full, the deadline too near, or the ring has no room.
            DeadlineExpired: The deadline passed.
        """
        if not tokens_list:
            return []
        job = next(self._numbers)
        run = Run(job, tokens_list, priority, deadline, flow_number(FLOW.get()), TRACEPARENT.get())
        future = self._send(run)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - self._clock()):
                done = await future
        except TimeoutError:
            raise DeadlineExpired("the deadline passed before the text was converted") from None
        finally:
            if self._waiting.pop(job, None):
                self._link.post(encode(Cancel(job)))
        if timing := CURRENT.get():
            timing.tokens += sum(map(len, tokens_list))
            timing.queue_us = max(timing.queue_us, done.queue_us)
            timing.run_us = max(timing.run_us, done.run_us)
        return list(done.outcomes)

    def close(self) -> None:
        """Take leave of the engine; nobody may be waiting."""
        self._link.close()

    def _send(self, run: Run) -> "asyncio.Future[Done]":
        if self.dead.is_set():
            raise self._gone()
        if not self._link.send(encode(run)):
            raise Overloaded(
                f"the ring to the engine process has no room for {sum(map(len, run.arrays))} tokens: retry "
                "later, or send less at a time",
                retry_after_s=RETRY_WHEN_FULL_S,
            )
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting[run.job] = future
        return future

    def _receive(self, records: list[bytes]) -> None:
        for record in records:
            match decode(record):
                case Done() as done:
                    if self._is_awaited(done.job):
                        self._waiting.pop(done.job).set_result(done)
                case Failed(job, error):
                    if self._is_awaited(job):
                        # An engine that drains has no runner any more: it is about to end.
                        ending = isinstance(error, Draining)
                        self._waiting.pop(job).set_exception(self._gone() if ending else error)
                case other:
                    raise RingBroken(f"an engine does not say {type(other).__name__}")

    def _is_awaited(self, job: int) -> bool:
        """Whether the call is still there; whoever was cancelled in this turn of the loop is not."""
        return job in self._waiting and not self._waiting[job].done()

    def _lose(self) -> None:
        self.dead.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._gone())
        self._waiting.clear()

    def _gone(self) -> Draining:
        return Draining(LOST, retry_after_s=self.restart_s)


class RemoteModel:
    """A model whose runners are in the engine process; a `models.Served`. Make it with `open`.

    Attributes:
        manifest: What the bundle says about itself.
        converter: Converts with it.
        pool: Its way to the engine.
        readings: Which Hanja are read like a syllable, if the bundle knows.
        users: Calls of the converter that are under way, counted by `models.Models`.
        runner: What computes at the moment.
        ladder: What was skipped or has failed, each with its reason.
    """

    def __init__(
        self, bundle: Bundle, pool: RemotePool, words: Words, config: ServerConfig, observer: Observer
    ) -> None:
        self.manifest = bundle.manifest
        self.readings = ReadingTable.open(bundle) if bundle.has(READINGS) else None
        self.pool = pool
        self.users = 0
        self.runner = ""
        self.ladder: tuple[str, ...] = ()
        self.converter = Converter(
            bundle,
            make_codec(bundle),
            pool,
            words=words,
            max_text_code_points=config.max_text_code_points,
            observer=observer,
        )

    @classmethod
    async def open(
        cls, told: Message, descriptors: Sequence[int], config: ServerConfig, observer: Observer
    ) -> "RemoteModel":
        """Open the engine's bundle, for all but its model.

        Args:
            told: path and revision of the bundle, runner, ladder, and the engine's restart_s.
            descriptors: A front-end's end of a link.
            config: How to serve.
            observer: Is told about rendering.

        Raises:
            BundleError: It is not what the engine has loaded, or damaged.
        """
        pool = RemotePool(descriptors, restart_s=told["restart_s"])
        try:
            bundle = await asyncio.to_thread(Bundle.open, told["path"])
            if bundle.manifest.revision != told["revision"]:
                raise BundleError(
                    f"{told['path']} is revision {bundle.manifest.revision}, and the engine process has "
                    f"loaded {told['revision']}: put a new bundle into a folder of its own, and reload"
                )
            model = cls(bundle, pool, await asyncio.to_thread(Words.open, bundle), config, observer)
        except BaseException:
            pool.close()
            raise
        model.describe(told)
        return model

    def describe(self, told: Message) -> None:
        """Note what computes now."""
        self.runner, self.ladder = told["runner"], tuple(told["ladder"])

    def facts(self, *, ready: bool) -> Facts:
        """See `models.Served`; what is queued and run is the engine's to tell."""
        return Facts(ready=ready)

    async def close(self) -> None:
        """See `models.Served`."""
        self.pool.close()
