"""What the supervisor counts, and asks the others to tell, for the metrics port."""

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from prometheus_client import Counter, Gauge

from hanjaserve.server.metrics import Facts, Metrics
from hanjaserve.server.processes.child import Child
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.tally import Family, Tally, families_of

ANSWER_S = 1.0
"""A process that has not answered by then counts with what it told last."""


class Census:
    """Counts; for one event loop, but for `page`.

    Args:
        children: Which processes there are.

    Attributes:
        page: What the metrics port shows.
    """

    def __init__(self, children: Callable[[], Iterable[Child]]) -> None:
        self.page = Tally(self._ask)
        self._children = children
        self._loop = asyncio.get_running_loop()
        self._own = Metrics(Facts)
        registry = self._own.registry
        self._frontends = Gauge("hanjaserve_frontends", "Front-end processes that serve", registry=registry)
        self._ends = Counter(
            "hanjaserve_process_ends", "Processes that ended by themselves", ("role",), registry=registry
        )
        for role in ("engine", "frontend"):
            self._ends.labels(role)  # 0 from the start, so that the first end is an increase
        self._number = 0
        self._answers: dict[int, list[Family]] = {}
        self._answered = asyncio.Event()

    def serving(self, frontends: int) -> None:
        """Note how many front-ends serve."""
        self._frontends.set(frontends)

    def ended(self, role: str) -> None:
        """Note that a process ended and nobody had told it to."""
        self._ends.labels(role).inc()

    def reloaded(self, *, ok: bool) -> None:
        """Note that another model serves, or was unfit."""
        self._own.reloaded(ok=ok)

    def hear(self, child: Child, message: Message) -> None:
        """Take what a process has counted."""
        if message["number"] == self._number:
            self._answers[child.pid] = message["families"]
            self._answered.set()

    def _ask(self) -> dict[int, list[Family] | None]:
        """On a thread of the metrics port: have the loop ask everybody."""
        return asyncio.run_coroutine_threadsafe(self._count(), self._loop).result(2 * ANSWER_S)

    async def _count(self) -> dict[int, list[Family] | None]:
        self._number += 1
        self._answers.clear()
        asked = {child.pid: child for child in self._children()}
        for child in asked.values():
            child.tell({"do": "count", "number": self._number})
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while any(not (child.ended.is_set() or pid in self._answers) for pid, child in asked.items()):
                    self._answered.clear()
                    await self._answered.wait()
        own: list[Family] = families_of(self._own.registry)
        return {os.getpid(): own, **{pid: self._answers.get(pid) for pid in asked}}
