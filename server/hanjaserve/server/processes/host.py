"""The engine's end of a link: jobs of one front-end, each a task that awaits the pool.

When the front-end goes, so do its jobs: what waits leaves the queue at once, as for any cancelled call.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from hanjaserve.server.converter import Engine
from hanjaserve.server.errors import HanjaserveError, RuntimeFault
from hanjaserve.server.processes.link import REQUEST_BYTES, Link
from hanjaserve.server.processes.ring import RingBroken
from hanjaserve.server.processes.wire import Cancel, Done, Failed, Run, decode, encode
from hanjaserve.server.timing import CURRENT, FLOW, SPAN, Timing

logger = logging.getLogger(__name__)


class Host:
    """Serves one front-end.

    Args:
        descriptors: The engine's end of a link.
        pool: Computes.
        on_leave: Called once when the front-end has gone.
        request_bytes: See `Link`.
    """

    def __init__(
        self,
        descriptors: Sequence[int],
        pool: Engine,
        on_leave: Callable[["Host"], None],
        *,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self._pool = pool
        self._on_leave = on_leave
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._link = Link(
            descriptors, self._receive, self._leave, is_engine=True, request_bytes=request_bytes
        )

    def close(self) -> None:
        """Give up what is under way."""
        self._link.close()
        self._forget_all()

    def _receive(self, records: list[bytes]) -> None:
        for record in records:
            match decode(record):
                case Run() as run:
                    if run.job in self._jobs:
                        raise RingBroken(f"job {run.job} comes twice")
                    task = self._jobs[run.job] = asyncio.create_task(self._run(run))
                    task.add_done_callback(partial(self._forget, run.job))
                case Cancel(job):
                    if job in self._jobs:  # else it has been answered meanwhile
                        self._jobs[job].cancel()
                case other:
                    raise RingBroken(f"a front-end does not say {type(other).__name__}")

    async def _run(self, run: Run) -> None:
        timing = Timing()
        CURRENT.set(timing)
        FLOW.set(run.flow)
        SPAN.set(run.traceparent or None)
        answer: Done | Failed
        try:
            outcomes = await self._pool.run_each(run.arrays, priority=run.priority, deadline=run.deadline)
            answer = Done(run.job, outcomes, timing.queue_us, timing.run_us)
        except HanjaserveError as error:
            answer = Failed(run.job, error)
        except Exception:
            logger.exception("a job failed")
            answer = Failed(run.job, RuntimeFault("the engine process failed on this text"))
        try:
            self._link.post(encode(answer))
        except ValueError as error:
            self._link.post(encode(Failed(run.job, RuntimeFault(f"the answer is too large: {error}"))))

    def _forget(self, job: int, _: asyncio.Task[None]) -> None:
        del self._jobs[job]

    def _leave(self) -> None:
        self._forget_all()
        self._on_leave(self)

    def _forget_all(self) -> None:
        for task in tuple(self._jobs.values()):
            task.cancel()
