"""A process that the supervisor spawns: its beginning on either side, and its end.

Children leave signals to the supervisor: those of a terminal or a service manager reach all processes at
once, and an engine that stopped by itself would fail the calls that its front-ends are still finishing.
They end when they are told to, or when the supervisor is gone, whatever ended it.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from hanjaserve.server import jsonlog
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.processes.control import Control, Message, OnMessage

ORPHANED = 1
"""Exit code of a child whose supervisor has gone."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """The supervisor's view of a process.

    Args:
        name: What the log calls it.
        main: What it runs; the last argument is its end of the line.
        arguments: The others.
        on_message: Called with this object, what the process says, and descriptors.

    Attributes:
        pid: Its process.
        ended: Set once it has ended.
        code: Then its exit code; negative for a signal.
    """

    def __init__(
        self,
        name: str,
        main: Callable[..., None],
        arguments: tuple[object, ...],
        on_message: "Callable[[Child, Message], None]",
    ) -> None:
        mine, its = socket.socketpair()
        self.name = name
        self.ended = asyncio.Event()
        self.code: int | None = None
        self._process: Any = multiprocessing.get_context("spawn").Process(
            target=main, args=(*arguments, its), name=name, daemon=True
        )
        with _held_back(), its:
            self._process.start()
        self.pid = cast("int", self._process.pid)
        self._control = Control(mine, lambda message, _: on_message(self, message), lambda: None)
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._end)

    def tell(self, message: Message, descriptors: list[int] | None = None) -> None:
        """Send a message; a process that has ended hears nothing. The descriptors are closed here."""
        self._control.send(message, descriptors or ())

    def kill(self) -> None:
        """End it at once."""
        if not self.ended.is_set():
            self._process.kill()

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self.code = self._process.exitcode
        self._control.close()
        self._process.close()
        self.ended.set()


def begin(config: ServerConfig, name: str, end: socket.socket, on_message: OnMessage) -> Control:
    """Set a child's process up, on its event loop; returns its line to the supervisor."""
    os.set_inheritable(end.fileno(), False)
    jsonlog.configure(config.log_level, process=name)
    return Control(end, on_message, lambda: os._exit(ORPHANED))


def ignore_signals() -> None:
    """The first thing that a child does."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def _held_back() -> Iterator[None]:
    """Have a child begin with signals blocked, lest one ends it before it can ignore them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
