"""A front-end process: a whole server but for the queue and the runners, which it reaches by a link.

    use(link) -> open the bundle -> listen -> SERVING ... engine gone -> NOT_SERVING -> use(link) -> SERVING

The first front-ends listen while the engine still loads, as a server of one process does. One that is
started later listens once it can serve, because the kernel gives it a part of all connections from then on.
"""

import asyncio
import itertools
import logging
import socket
import sys
from typing import Any

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.exits import run_loop
from hanjaserve.server.front import Front, glossary_limits, opened_traces
from hanjaserve.server.processes.child import begin, ignore_signals
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.faults import error_of
from hanjaserve.server.processes.remote import LOST, RemoteModel
from hanjaserve.server.processes.shared import SharedGlossaries
from hanjaserve.server.processes.tally import families_of

logger = logging.getLogger(__name__)


def run_frontend(config: ServerConfig, name: str, end: socket.socket) -> None:
    """The process.

    Args:
        config: From `ServerConfig.for_frontend`.
        name: What the log calls it.
        end: Of the line to the supervisor.
    """
    ignore_signals()
    sys.exit(run_loop(_serve(config, name, end)))


async def _serve(config: ServerConfig, name: str, end: socket.socket) -> int:
    return await _Frontend(config, name, end).serve()


class _Frontend:
    def __init__(self, config: ServerConfig, name: str, end: socket.socket) -> None:
        self._config = config
        self._orders: asyncio.Queue[tuple[Message, list[int]]] = asyncio.Queue()
        self._model: RemoteModel | None = None
        self._front: Front | None = None
        self._glossaries = SharedGlossaries(glossary_limits(config), self._ask)
        self._questions: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._control = begin(config, name, end, self._hear)

    async def serve(self) -> int:
        """Do what the supervisor says until it says drain; returns the exit code."""
        try:
            with opened_traces(self._config) as traces:
                self._front = front = Front(self._config, self._open, traces, self._glossaries)
                if not await self._follow(front):
                    return 0
                async with front:
                    await self._go_live(front)
                    while await self._follow(front):
                        await self._go_live(front)
                    await front.drain()
        except HanjaserveError as error:
            logger.error("can't serve: %s", error)
            self._control.send({"is": "refused", "message": str(error)})
            return 2
        return 0

    async def _follow(self, front: Front) -> bool:
        """Follow orders up to the next one that changes how it serves; False if that is to drain."""
        while True:
            message, descriptors = await self._orders.get()
            match message["do"]:
                case "note":
                    await self._glossaries.note(message)
                    self._control.send({"is": "noted", "number": message["number"]})
                case "use":
                    self._model = await RemoteModel.open(message, descriptors, self._config, front.observer)
                    return True
                case "wait":
                    return True
                case "drain":
                    return False

    async def _ask(self, question: Message) -> None:
        """Ask the supervisor, and wait for its answer; raises what it says."""
        number = next(self._numbers)
        self._questions[number] = asyncio.get_running_loop().create_future()
        self._control.send({"is": "asks", "number": number, **question})
        try:
            await self._questions[number]
        finally:
            del self._questions[number]

    def _answered(self, message: Message) -> None:
        question = self._questions.get(message["number"])
        if question is None or question.done():
            return  # whoever asked has gone
        if message["fault"]:
            question.set_exception(error_of(message["fault"]))
        else:
            question.set_result(None)

    async def _go_live(self, front: Front) -> None:
        if self._model is not None:
            await front.go_live()
            self._watch(front, self._model)
            self._control.send({"is": "serving"})

    async def _open(self, front: Front) -> RemoteModel:
        assert self._model is not None
        return self._model

    def _hear(self, message: Message, descriptors: list[int]) -> None:
        match message["do"]:
            case "count":
                metrics = self._front.metrics if self._front else None
                families: list[Any] = families_of(metrics.registry) if metrics else []
                self._control.send({"is": "counted", "number": message["number"], "families": families})
            case "answer":
                self._answered(message)
            case "describe":
                if self._model is not None and self._model.manifest.revision == message["revision"]:
                    self._model.describe(message)
                    if self._front is not None:
                        self._front.describe()
            case _:
                self._orders.put_nowait((message, descriptors))

    def _watch(self, front: Front, model: RemoteModel) -> None:
        task = asyncio.create_task(self._pause_without(front, model))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pause_without(self, front: Front, model: RemoteModel) -> None:
        await model.pool.dead.wait()
        if model is self._model:
            await front.pause(LOST, retry_after_s=model.pool.restart_s)
