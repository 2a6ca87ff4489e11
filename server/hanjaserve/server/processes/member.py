"""What the supervisor knows about a process that it keeps going."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.processes.child import Child
from hanjaserve.server.processes.control import Message
from hanjaserve.server.service import Described

# A process that ends again and again is started more slowly; the first time at once.
SOON_S, MAX_DELAY_S, REMEMBERED_S = 0.1, 5.0, 60.0


class Member:
    """A process.

    Args:
        heard: Called with this object and what the process says.

    Attributes:
        child: The process.
    """

    child: Child

    def __init__(self, heard: "Callable[[Member, Message], None]") -> None:
        self._heard = heard

    def hear(self, child: Child, message: Message) -> None:
        """Pass on what it says, with who said it."""
        self._heard(self, message)


class Frontend(Member):
    """A front-end.

    Attributes:
        serving: Whether it has said that it serves.
    """

    serving = False


class Engine(Member):
    """An engine.

    Attributes:
        path: Where its bundle is.
        ready: What it serves, once it does; or why it can't.
        restart_s: How long that took.
    """

    def __init__(self, heard: Callable[[Member, Message], None], path: Path) -> None:
        super().__init__(heard)
        self.path = path
        self.ready: asyncio.Future[Described] = asyncio.get_running_loop().create_future()
        self.restart_s = 0.0
        self._started_at = time.monotonic()

    def is_ready(self, described: Described) -> None:
        """Note what it serves from now on."""
        self.restart_s = round(time.monotonic() - self._started_at, 3)
        self.ready.set_result(described)

    async def answer(self) -> Described:
        """Wait until it is ready.

        Raises:
            RuntimeFault: It can't serve, or has ended.
        """
        ended: asyncio.Future[Any] = asyncio.create_task(self.child.ended.wait())
        await asyncio.wait([ended, self.ready], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not self.ready.done():
            raise RuntimeFault(f"the engine process ended with code {self.child.code} while it was loading")
        return self.ready.result()


class Deaths:
    """How often a process ended lately, and hence when to start the next one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque()

    def delay_s(self) -> float:
        """Count one more; seconds until the next start."""
        now = self._clock()
        while self._times and now - self._times[0] > REMEMBERED_S:
            self._times.popleft()
        before = len(self._times)
        self._times.append(now)
        # The exponent is bounded, or a number of a thousand digits comes out.
        return min(SOON_S * (2.0 ** min(before, 10) - 1), MAX_DELAY_S)
