"""The engine process: one model with its queue and its runner, for any number of front-ends.

    open the bundle, self-test, warm-up -> ready -> a host for each link ... end -> no link left -> exit 0

It serves one model for life: to reload, the supervisor starts another engine beside it. All that is global
is here: the queue and its limit, who goes first, admission by predicted wait, and what runs together.
"""

import asyncio
import socket
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.exits import DEVICE_LOST, DIED, run_loop
from hanjaserve.server.front import opened_traces
from hanjaserve.server.metrics import Facts, Metrics
from hanjaserve.server.model import Model, configured_rungs
from hanjaserve.server.observer import Several
from hanjaserve.server.processes.child import begin, ignore_signals
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.host import Host
from hanjaserve.server.processes.tally import families_of
from hanjaserve.server.runners.ladder import Rung
from hanjaserve.server.service import Described
from hanjaserve.server.signals import first_is_second


def run_engine(
    config: ServerConfig, rungs: tuple[Rung, ...], path: Path, name: str, end: socket.socket
) -> None:
    """The process.

    Args:
        config: How to serve.
        rungs: The runners that there are; empty for those that are configured.
        path: The bundle's folder.
        name: What the log calls it.
        end: Of the line to the supervisor.
    """
    ignore_signals()
    sys.exit(run_loop(_serve(config, rungs or configured_rungs(config), path, name, end)))


async def _serve(
    config: ServerConfig, rungs: tuple[Rung, ...], path: Path, name: str, end: socket.socket
) -> int:
    return await _Engine(config, name, end).serve(rungs, path)


class _Engine:
    def __init__(self, config: ServerConfig, name: str, end: socket.socket) -> None:
        self._config = config
        self._model: Model | None = None
        self._hosts: set[Host] = set()
        self._ending = False
        self._over = asyncio.Event()
        self._metrics = Metrics(self._facts) if config.metrics_port else None
        self._control = begin(config, name, end, self._hear)

    async def serve(self, rungs: tuple[Rung, ...], path: Path) -> int:
        """Serve until no front-end is left, once told to end; returns the exit code."""
        with ExitStack() as stack:
            return await self._run(rungs, path, stack)

    async def _run(self, rungs: tuple[Rung, ...], path: Path, stack: ExitStack) -> int:
        try:
            traces = stack.enter_context(opened_traces(self._config))
            observer = Several([one for one in (self._metrics, traces) if one is not None])
            model = await Model.open(path, self._config, observer, on_change=self._tell_change, rungs=rungs)
        except HanjaserveError as error:
            self._control.send({"is": "refused", "message": str(error)})
            return 2
        self._model = model
        self._control.send({"is": "ready", "described": asdict(_described(model))})
        died = await first_is_second(self._over, model.pool.dead)
        if model.pool.device_lost:
            return DEVICE_LOST
        for host in tuple(self._hosts):
            host.close()
        await model.close()
        return DIED if died else 0

    def _hear(self, message: Message, descriptors: list[int]) -> None:
        match message["do"]:
            case "link":
                assert self._model is not None
                self._hosts.add(Host(descriptors, self._model.pool, self._leave))
            case "count":
                families = families_of(self._metrics.registry) if self._metrics else []
                self._control.send({"is": "counted", "number": message["number"], "families": families})
            case "end":
                self._ending = True
                self._leave(None)

    def _leave(self, host: Host | None) -> None:
        self._hosts.discard(host)
        if self._ending and not self._hosts:
            self._over.set()

    def _tell_change(self) -> None:
        if self._model is not None:
            self._control.send({"is": "changed", "described": asdict(_described(self._model))})

    def _facts(self) -> Facts:
        return Facts() if self._model is None else self._model.facts(ready=False)


def _described(model: Model) -> Described:
    manifest = model.manifest
    return Described(
        model=manifest.name,
        revision=manifest.revision,
        scheme=manifest.scheme,
        runner=model.runner,
        ladder=tuple(model.ladder),
    )
