"""Ending a command on a signal, wherever its code is at that moment.

Python raises KeyboardInterrupt between any two instructions of the main thread. Within a destructor or a
callback it is lost, and the command goes on; between the making of a temporary file and the `try` behind it,
the file stays; within gRPC it can leave locks that nobody gives back. So a command runs in a thread of its
own, where no signal strikes, and the main thread only waits: for its end, or for a signal. Then what must not
stay behind is removed, and the process ends as it is. Nothing is unwound, so nothing can be lost or get stuck
on the way.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Self, TypeVar

from hanjaserve.cli.errors import SIGNALLED

_Result = TypeVar("_Result")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REMOVAL_S = 20.0
"""How long the removal may take. A second signal ends it at once."""
_ENDED, _MADE, _REMOVED = 0, 254, 255
"""No signal has these numbers: the command has ended, has made something, all that was made is removed."""


class Leftovers:
    """What must not outlive the process: temporary files, other processes.

    Args:
        on_made: Is told of everything that was made.
    """

    def __init__(self, on_made: Callable[[], object] = lambda: None) -> None:
        self._on_made = on_made
        self._lock = threading.Lock()
        self._removers: list[Callable[[], object]] = []

    @contextmanager
    def holding(self, make: Callable[[], _Result], remove: Callable[[_Result], object]) -> Iterator[_Result]:
        """Make something that outlives neither the block nor the process.

        Args:
            make: Makes it; a signal waits until it has.
            remove: Removes it. May be called though it is gone already.
        """
        with self._lock:
            made = make()
            remover = partial(remove, made)
            self._removers.append(remover)
            self._on_made()
        try:
            yield made
        finally:
            with self._lock:
                self._removers.remove(remover)
                remover()

    def remove_all(self) -> None:
        """Remove what is there, the newest first, and let nothing be made any more."""
        self._lock.acquire()  # for good: whoever wants to make something waits for the end of the process
        for remover in reversed(self._removers):
            with suppress(Exception):
                remover()


def run_interruptibly(work: Callable[[Leftovers], int]) -> int:
    """Run a command so that SIGINT, SIGTERM and SIGHUP end the process, with exit code 128 + their number.

    Args:
        work: The command; keeps in `Leftovers` what must not stay behind. Returns the exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(Leftovers())  # signals are for the main thread to handle
    with _Pipe() as pipe:
        leftovers = Leftovers(partial(pipe.tell, _MADE))
        outcome = pipe.run(partial(work, leftovers), _ENDED)
        while (number := pipe.next((_ENDED, _MADE, *SIGNALS))) == _MADE:
            pipe.handle_signals()  # again, in the place of the handlers of what was made: Ray has its own
        if number != _ENDED:
            pipe.run(leftovers.remove_all, _REMOVED)
            with suppress(TimeoutError):
                pipe.next((_REMOVED, *SIGNALS), timeout_s=REMOVAL_S)
            os._exit(SIGNALLED + number)
    return outcome.result()


class _Pipe:
    """Tells the main thread what happens: the numbers of signals, and of threads that ended."""

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # Written to by the C half of Python at once, whichever thread gets the signal.
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # What nohup, or a shell for the background, has ignored stays ignored.
        found = {number: signal.getsignal(number) for number in SIGNALS}
        self._handlers = {number: was for number, was in found.items() if was not in (signal.SIG_IGN, None)}
        self.handle_signals()
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def handle_signals(self) -> None:
        """Have their numbers written into the pipe."""
        for number in self._handlers:
            signal.signal(number, lambda *_: None)

    def tell(self, number: int) -> None:
        """Write a number, in any thread."""
        os.write(self._writer, bytes([number]))

    def run(self, function: Callable[[], _Result], number: int) -> "Future[_Result]":
        """Run a function in a thread of its own, which tells the number in the end."""
        outcome: Future[_Result] = Future()

        def run() -> None:
            try:
                outcome.set_result(function())
            except BaseException as error:  # the main thread raises it again, whatever it is
                outcome.set_exception(error)
            self.tell(number)

        threading.Thread(target=run, name="hanjaserve-command", daemon=True).start()
        return outcome

    def next(self, wanted: Collection[int], *, timeout_s: float | None = None) -> int:
        """Wait for one of these numbers.

        Raises:
            TimeoutError: None comes in time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._reader], [], [], left_s)[0]:
                raise TimeoutError
            if (number := os.read(self._reader, 1)[0]) in wanted:
                return number
