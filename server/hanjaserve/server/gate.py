"""The door of the service: which calls come in, how they end, and what is logged about them.

Every method that converts runs inside `Gate.call`. It counts the calls under way itself, because
grpc's own maximum_concurrent_rpcs is not to be relied upon (grpc issues 30424 and 41531). Who may
call at all, and how errors become statuses, is in `guard.py`.

Never logged: texts and results.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from hanjaserve.server import status
from hanjaserve.server.errors import Draining, HanjaserveError, Overloaded
from hanjaserve.server.timing import CALL_ID, CALLER, CURRENT, Timing

logger = logging.getLogger(__name__)

RETRY_WHEN_FULL_S = 0.2


@dataclass(slots=True, kw_only=True)
class Call:
    """One call under way.

    Attributes:
        rpc_id: Names the call in the log.
        method: The method, such as "Convert".
        deadline: When the caller gives up, on `time.monotonic`; None waits for ever.
        items: Texts received so far.
        timing: What the pool reports about it.
    """

    rpc_id: str
    method: str
    deadline: float | None
    items: int = 0
    timing: Timing = field(default_factory=Timing)


class Gate:
    """Admits calls while the server is ready, and knows when the last one has left.

    Attributes:
        ready: Whether calls are admitted.
        active: Calls under way.
        last_arrival: When the last call came, admitted or not, on `time.monotonic`.
    """

    def __init__(self, *, max_concurrent_rpcs: int) -> None:
        self.ready = False
        self.active = 0
        self.last_arrival = time.monotonic()
        self._limit = max_concurrent_rpcs
        self._refusal = "the server is still loading its model: retry in a moment"
        self._retry_after_s: float | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: set[Callable[[], None]] = set()

    def open(self) -> None:
        """Admit calls from now on."""
        self.ready = True

    def pause(self, reason: str, retry_after_s: float) -> None:
        """Refuse new calls until `open`; those under way go on."""
        self.ready = False
        self._refusal, self._retry_after_s = reason, retry_after_s

    def close(self) -> None:
        """Refuse new calls from now on; those under way go on."""
        self.ready = False
        self._refusal, self._retry_after_s = "the server is shutting down: send the call to another one", None

    async def idle(self) -> None:
        """Wait until no call is under way."""
        await self._idle.wait()

    async def quiet(self, seconds: float) -> None:
        """Wait until no call has come for so long, not even one to be refused."""
        left = seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self.last_arrival + seconds - time.monotonic()

    def end_streams(self) -> None:
        """Make endless streams answer what they have read and then end."""
        for callback in tuple(self._closing):
            callback()

    @contextmanager
    def ended_by(self, callback: Callable[[], None]) -> Iterator[None]:
        """Have `end_streams` call `callback` while the block runs."""
        self._closing.add(callback)
        try:
            yield
        finally:
            self._closing.discard(callback)

    @asynccontextmanager
    async def call(self, context: Any, method: str) -> AsyncIterator[Call]:
        """Run a call: admit it, and log how it ended."""
        remaining = context.time_remaining()
        call = Call(
            rpc_id=CALL_ID.get(),
            method=method,
            deadline=None if remaining is None else time.monotonic() + remaining,
        )
        CURRENT.set(call.timing)
        code = "CANCELLED"  # whatever ends the block without passing one of the lines below
        admitted = False
        try:
            self._enter()
            admitted = True
            yield call
            code = "OK"
        except HanjaserveError as error:
            code = status.code_of(error).name
            raise
        except Exception:
            code = "INTERNAL"
            raise
        finally:
            if admitted:
                self._leave()
            _log_call(call, code)

    def _enter(self) -> None:
        self.last_arrival = time.monotonic()
        if not self.ready:
            raise Draining(self._refusal, self._retry_after_s)
        if self.active >= self._limit:
            raise Overloaded(
                f"{self.active} calls are under way, and the limit is {self._limit}: retry later, "
                "or send more texts per call with BatchConvert or StreamConvert",
                retry_after_s=RETRY_WHEN_FULL_S,
                reason="calls",
            )
        self.active += 1
        self._idle.clear()

    def _leave(self) -> None:
        self.active -= 1
        if self.active == 0:
            self._idle.set()


def _log_call(call: Call, code: str) -> None:
    level = logging.DEBUG if code in {"OK", "CANCELLED"} else logging.INFO
    if logger.isEnabledFor(level):
        fields = {
            "rpc_id": call.rpc_id,
            "caller": CALLER.get(),
            "method": call.method,
            "code": code,
            "items": call.items,
            "tokens": call.timing.tokens,
            "queue_us": call.timing.queue_us,
            "run_us": call.timing.run_us,
        }
        logger.log(level, "call", extra={"fields": fields})
