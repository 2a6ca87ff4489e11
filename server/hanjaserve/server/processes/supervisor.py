"""The process that a user starts with --frontends: spawns the others, joins them, and starts again what ends.

    start    engine and front-ends at once; each front-end gets a link once the engine is ready
    SIGHUP   another engine beside the old one; new links for all; the old one ends when the last link does
    SIGTERM  the front-ends drain, then the engine ends, exit 0
    a front-end ends  another one is started; the engine drops the dead one's link, and the jobs with it
    the engine ends   its front-ends say UNAVAILABLE; another one is started, and they get new links

It touches no text and no call, and holds no gRPC: there is little in it that could fail. If it does, or is
killed, the others end.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import HanjaserveError, RuntimeFault
from hanjaserve.server.exits import DIED
from hanjaserve.server.exposure import check_exposure
from hanjaserve.server.front import glossary_limits, opened_files
from hanjaserve.server.listener import reserved_port
from hanjaserve.server.metrics import exposed
from hanjaserve.server.model import default_bundle
from hanjaserve.server.processes.census import Census
from hanjaserve.server.processes.child import Child
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.engine import run_engine
from hanjaserve.server.processes.frontend import run_frontend
from hanjaserve.server.processes.link import make_link
from hanjaserve.server.processes.member import Deaths, Engine, Frontend, Member
from hanjaserve.server.processes.shared import Registry
from hanjaserve.server.runners.ladder import Rung
from hanjaserve.server.service import Described
from hanjaserve.server.signals import first_is_second, on_hangup, stop_on_signals

logger = logging.getLogger(__name__)

Banner = Callable[[ServerConfig, Described, int], str]

# How long a process that was told to end may take beyond the grace period of its calls.
SPARE_S = 10.0


async def supervise(config: ServerConfig, rungs: tuple[Rung, ...], banner: Banner) -> int:
    """Serve with several processes until a signal comes; returns the exit code.

    Args:
        config: How to serve.
        rungs: The runners that there are, picklable; empty for those that are configured.
        banner: Makes what is printed once all of them serve.

    Raises:
        HanjaserveError: It can't start.
    """
    check_exposure(config)
    opened_files(config)
    path = Path(config.bundle_path or default_bundle())
    Bundle.open(path)
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        reserved = stack.enter_context(reserved_port(config.host, config.port))
        supervisor = await stack.enter_async_context(_Supervisor(config, rungs, path, reserved))
        if config.metrics_port:
            page = supervisor.census.page
            stack.enter_context(exposed(page, config.metrics_host, config.metrics_port))
        stack.enter_context(on_hangup(supervisor.reload))
        if described := await supervisor.started(stop):
            print(banner(config, described, reserved), flush=True)
        died = await first_is_second(stop, supervisor.failed)
        await supervisor.drain()
    logger.info("stopped")
    return DIED if died else 0


class _Supervisor:
    """Keeps the processes going while it is open; an async context manager, which leaves none behind.

    Attributes:
        census: What it counts.
        failed: Set if it can't go on.
    """

    def __init__(self, config: ServerConfig, rungs: tuple[Rung, ...], path: Path, port: int) -> None:
        self._config, self._rungs, self._path = config, rungs, path
        self._frontend_config = config.for_frontend(port)
        self._engine: Engine | None = None
        self._frontends: dict[int, Frontend] = {}
        self._children: set[Child] = set()
        self._refusal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serving = asyncio.Event()
        self._described: Described | None = None
        # One engine after the other, so that the one that was asked for last serves at last.
        self._starting = asyncio.Lock()
        self._keepers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = asyncio.Event()
        self.census = Census(self._alive)
        self._registry = Registry(glossary_limits(config), self._frontend_children)

    async def __aenter__(self) -> "_Supervisor":
        numbers = range(1, self._config.frontends + 1)
        self._keepers = [self._spawn_task(self._keep_engine())]
        self._keepers += [self._spawn_task(self._keep_frontend(number)) for number in numbers]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await _ended(self._alive(), 0.0)

    async def started(self, stop: asyncio.Event) -> Described | None:
        """Wait until all serve; returns what, or None if the server is to stop before.

        Raises:
            HanjaserveError: One of them can't serve.
        """
        waits: list[asyncio.Future[Any]] = [asyncio.create_task(e.wait()) for e in (self._serving, stop)]
        await asyncio.wait([*waits, self._refusal], return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._refusal.done():
            self._refusal.result()
        return self._described if self._serving.is_set() else None

    async def reload(self) -> None:
        """Have another engine serve the bundle as it is now, if it is fit."""
        async with self._starting:
            engine = self._start_engine()
            try:
                described = await engine.answer()
            except HanjaserveError as error:
                logger.error("the old model goes on: %s", error)
                self.census.reloaded(ok=False)
                return
            self._adopt(engine, described)
        logger.info("reloaded", extra={"fields": {"revision": described.revision}})
        self.census.reloaded(ok=True)

    async def drain(self) -> None:
        """Have the front-ends finish what they have, then end the engines."""
        for keeper in self._keepers:
            keeper.cancel()
        frontends = self._frontend_children()
        for child in frontends:
            child.tell({"do": "drain"})
        await _ended(frontends, self._config.grace_s + SPARE_S)
        for child in self._alive():
            child.tell({"do": "end"})
        await _ended(self._alive(), SPARE_S)

    # ---- keeping

    async def _keep_engine(self) -> None:
        deaths = Deaths()
        while True:
            async with self._starting:
                engine = self._start_engine()
                try:
                    self._adopt(engine, await engine.answer())
                except HanjaserveError as error:
                    logger.error("no engine: %s", error)
                    self._refuse(error)
            while (serving := self._engine) is not None:
                await serving.child.ended.wait()
                if self._engine is serving:  # else a reload has put another one into its place
                    self._engine = None
            self.census.ended("engine")
            await asyncio.sleep(deaths.delay_s())

    async def _keep_frontend(self, number: int) -> None:
        deaths = Deaths()
        while True:
            frontend = self._start_frontend(number)
            await frontend.child.ended.wait()
            del self._frontends[number]
            self._count_serving()
            self.census.ended("frontend")
            await asyncio.sleep(deaths.delay_s())

    def _start_engine(self) -> Engine:
        # Where a link points to now: front-ends that start later must find the same bundle.
        engine = Engine(self._heard, self._path.resolve())
        arguments = (self._config, self._rungs, engine.path, "engine")
        engine.child = self._spawn(Child("engine", run_engine, arguments, engine.hear))
        return engine

    def _start_frontend(self, number: int) -> Frontend:
        name = f"frontend-{number}"
        frontend = self._frontends[number] = Frontend(self._heard)
        arguments = (self._frontend_config, name)
        frontend.child = self._spawn(Child(name, run_frontend, arguments, frontend.hear))
        self._registry.welcome(frontend.child)
        if self._engine is None:
            frontend.child.tell({"do": "wait"})
        else:
            self._join(frontend, self._engine, self._engine.ready.result())
        return frontend

    def _adopt(self, engine: Engine, described: Described) -> None:
        """Have all front-ends use an engine; the one before ends when they have left it."""
        before, self._engine = self._engine, engine
        self._described = described
        for frontend in self._frontends.values():
            self._join(frontend, engine, described)
        if before is not None:
            before.child.tell({"do": "end"})

    def _join(self, frontend: Frontend, engine: Engine, described: Described) -> None:
        ends = make_link()
        engine.child.tell({"do": "link"}, ends.engine)
        told = {"do": "use", "path": str(engine.path), "restart_s": engine.restart_s, **asdict(described)}
        frontend.child.tell(told, ends.frontend)

    # ---- what they say

    def _heard(self, member: Member, message: Message) -> None:
        match member, message["is"]:
            case _, "counted":
                self.census.hear(member.child, message)
            case Engine() as engine, "ready":
                engine.is_ready(_described(message))
            case Engine() as engine, "refused":
                engine.ready.set_exception(RuntimeFault(message["message"]))
            case Engine() as engine, "changed" if engine is self._engine:
                self._described = _described(message)
                for frontend in self._frontends.values():
                    frontend.child.tell({"do": "describe", **asdict(self._described)})
            case Frontend() as frontend, "serving":
                frontend.serving = True
                self._count_serving()
            case Frontend() as frontend, "asks":
                self._spawn_task(self._registry.decide(frontend.child, message))
            case Frontend() as frontend, "noted":
                self._registry.hear(frontend.child, message)
            case Frontend(), "refused":
                self._refuse(RuntimeFault(message["message"]))

    def _count_serving(self) -> None:
        serving = sum(frontend.serving for frontend in self._frontends.values())
        self.census.serving(serving)
        if serving == self._config.frontends:
            self._serving.set()

    def _refuse(self, error: HanjaserveError) -> None:
        """Don't start at all; later, when others serve, it is tried again."""
        if not self._serving.is_set() and not self._refusal.done():
            self._refusal.set_exception(error)

    # ---- processes

    def _spawn(self, child: Child) -> Child:
        logger.info("process started", extra={"fields": {"name": child.name, "pid": child.pid}})
        self._children.add(child)
        return child

    def _alive(self) -> list[Child]:
        for child in [child for child in self._children if child.ended.is_set()]:
            self._children.discard(child)
        return list(self._children)

    def _frontend_children(self) -> list[Child]:
        return [frontend.child for frontend in self._frontends.values()]

    def _spawn_task(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Nobody keeps the processes going any more, or answers them: better to end, and be started again."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.critical("the supervisor failed", exc_info=error)
            self.failed.set()
            self._refuse(RuntimeFault("the supervisor failed: the log says why"))


async def _ended(children: list[Child], seconds: float) -> None:
    """Wait until they have ended; those that take longer are killed."""
    waits = [asyncio.create_task(child.ended.wait()) for child in children]
    if not waits:
        return
    await asyncio.wait(waits, timeout=seconds)
    for child in children:
        if not child.ended.is_set():
            logger.warning("process killed", extra={"fields": {"name": child.name}})
            child.kill()
    await asyncio.wait(waits)


def _described(message: Message) -> Described:
    told = message["described"]
    return Described(**{**told, "ladder": tuple(told["ladder"])})
