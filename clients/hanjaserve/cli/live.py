"""`hanjaserve live`: a terminal that converts as you type.

    hanjaserve live --rendering hangul-hanja

Tab opens the spellings of the word at the cursor; a digit, or Enter, takes one. Ctrl-D leaves and prints the
converted text, Ctrl-C leaves without.
"""

import argparse
import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from hanjaserve.cli.access import access_of, add_access_arguments, no_server
from hanjaserve.cli.errors import FAILED, INTERRUPTED, OK, SIGNALLED, USAGE, CliError
from hanjaserve.cli.interruption import SIGNALS
from hanjaserve.cli.live_editor import Editor
from hanjaserve.cli.live_keys import KeyReader
from hanjaserve.cli.live_screen import ENTER, LEAVE, draw
from hanjaserve.cli.wishes import add_option_arguments, options_of
from hanjaserve.client import (
    DEFAULT_TARGET,
    Client,
    ConvertError,
    ConvertOptions,
    LiveSession,
    Rendering,
    RetryPolicy,
    SessionResumed,
    Unavailable,
)
from hanjaserve.client.access import Access

ALTERNATIVES = 8
# A server that restarts is waited for; whoever types may always leave.
PATIENT = RetryPolicy(max_attempts=100, max_delay_s=1.0)
QUICK = RetryPolicy(max_attempts=2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_option_arguments(parser)
    parser.add_argument(
        "--target",
        metavar="HOST:PORT",
        help=f"the server; default $HANJASERVE_TARGET, else {DEFAULT_TARGET}",
    )
    add_access_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    options = options_of(arguments, alternatives=ALTERNATIVES, with_spans=True, with_kept=True)
    access = access_of(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CliError("needs a terminal; for files and pipes there is `hanjaserve convert`", USAGE)
    try:
        editor = asyncio.run(_edit(access, options))
    except Unavailable as error:
        raise no_server(access.target, error) from error
    except ConvertError as error:
        raise CliError(f"server at {access.target}: {error}", FAILED) from error
    except _GivenUpError as given_up:
        return given_up.exit_code
    print(editor.converted)
    return OK


def _client(access: Access, retry: RetryPolicy) -> Client:
    return Client(access.target, credentials=access.credentials, token=access.token, retry=retry)


async def _edit(access: Access, options: ConvertOptions) -> Editor:
    """Edit until the user is done.

    Raises:
        _GivenUpError: There is to be no result.
    """
    async with _client(access, QUICK) as quick:
        await quick.server_info()
    async with _client(access, PATIENT) as client:
        editor = Editor(Rendering(options.rendering))
        async with client.live(**options.as_fields()) as live:
            await _Terminal(editor, live).run()
        editor.show(list(live.view.segments()))
    return editor


class _GivenUpError(Exception):
    """The user wants no result, and does not wait for one.

    Attributes:
        exit_code: That of the command.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


class _Terminal:
    """The tasks that join keyboard, session and screen."""

    def __init__(self, editor: Editor, live: LiveSession) -> None:
        self._editor = editor
        self._live = live
        self._keys: asyncio.Queue[str | signal.Signals] = asyncio.Queue()
        self._state = ""

    async def run(self) -> None:
        """Run until a key ends it.

        Raises:
            _GivenUpError: The key was Ctrl-C, or a signal came.
        """
        loop, reader = asyncio.get_running_loop(), KeyReader()
        standard_input = sys.stdin.fileno()

        def on_input() -> None:
            data = os.read(standard_input, 4096)
            for key in reader.feed(data) if data else ["quit"]:
                self._keys.put_nowait(key)

        loop.add_reader(standard_input, on_input)
        loop.add_signal_handler(signal.SIGWINCH, self._draw)
        for number in SIGNALS:
            loop.add_signal_handler(number, self._keys.put_nowait, number)
        watching = asyncio.create_task(self._watch())
        try:
            with _raw_terminal():
                await self._type(watching)
        finally:
            loop.remove_reader(standard_input)
            for number in (signal.SIGWINCH, *SIGNALS):
                loop.remove_signal_handler(number)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _type(self, watching: "asyncio.Task[None]") -> None:
        self._draw()
        while not self._editor.done:
            getting = asyncio.create_task(self._keys.get())
            await asyncio.wait({getting, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                await watching  # which raises why the session has ended
                return
            key = getting.result()
            if isinstance(key, signal.Signals):
                raise _GivenUpError(SIGNALLED + key)
            if key == "interrupt":
                raise _GivenUpError(INTERRUPTED)
            if splices := self._editor.key(key):
                await self._live.edit_places(splices)
            self._draw()

    async def _watch(self) -> None:
        async for event in self._live.events():
            resumed = isinstance(event, SessionResumed)
            self._state = "the connection was lost; the session goes on over a new one" if resumed else ""
            self._editor.show(list(self._live.view.segments()))
            self._draw()

    def _draw(self) -> None:
        sys.stdout.write(draw(self._editor, self._state))
        sys.stdout.flush()


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key at once, none shown by the terminal itself, on a screen that goes away in the end."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    sys.stdout.write(ENTER)
    try:
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
