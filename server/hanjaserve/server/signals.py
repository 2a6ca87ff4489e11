"""What the signals of the operating system do: stop, reload."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second exits at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


@contextmanager
def on_hangup(react: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Run `react` at every SIGHUP, as a task, while the block runs."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Future[None]] = set()

    def start() -> None:
        task = asyncio.ensure_future(react())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, start)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tuple(tasks):
            task.cancel()


async def first_is_second(one: asyncio.Event, other: asyncio.Event) -> bool:
    """Wait for either; whether it was the other one."""
    tasks = [asyncio.create_task(event.wait()) for event in (one, other)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    return other.is_set() and not one.is_set()
