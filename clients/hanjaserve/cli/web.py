"""`hanjaserve web`: a page in the browser that converts as you type.

    hanjaserve web                  # with the server at 127.0.0.1:50051
    hanjaserve web --local          # with a server of its own, in this process

The page is for this machine: it is served on 127.0.0.1, and to nobody else.
"""

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from hanjaserve.cli.access import access_of
from hanjaserve.cli.engines import add_engine_arguments, check_engine_arguments
from hanjaserve.cli.errors import OK, USAGE, CliError
from hanjaserve.cli.own_server import own_server
from hanjaserve.client.access import Access

DEFAULT_PORT = 8080


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"where the page is, on 127.0.0.1; 0 picks a free port; default {DEFAULT_PORT}",
    )
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command until a signal ends it; returns the exit code."""
    if not 0 <= arguments.port <= 65535:
        raise CliError(f"--port is {arguments.port}: use a number from 0 to 65535", USAGE)
    check_engine_arguments(arguments)
    access = None if arguments.local else access_of(arguments)
    try:
        asyncio.run(_serve(access, arguments.bundle, arguments.port))
    except ModuleNotFoundError as error:
        raise CliError(f"{error.name} is not installed: pip install 'hanjaserve[web]'", USAGE) from error
    except OSError as error:
        where = f"port {arguments.port} of 127.0.0.1"
        raise CliError(f"cannot listen on {where}: {error.strerror}; choose another --port", USAGE) from error
    return OK


async def _serve(access: Access | None, bundle: Path | None, port: int) -> None:
    from hanjaserve.web.site import listening
    from hanjaserve.web.upstream import Upstream

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        if access is None:
            access = Access(target=await stack.enter_async_context(own_server(bundle)))
        upstream = await stack.enter_async_context(Upstream(access))
        address = await stack.enter_async_context(listening(upstream, port))
        print(f"open {address} in a browser; the server is {access.target}; Ctrl-C ends it", flush=True)
        await stop.wait()
