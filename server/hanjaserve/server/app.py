"""From a configuration to a running server, and back to silence.

    open the bundle -> listen (health NOT_SERVING) -> runner, self-test, warm-up -> SERVING
    SIGHUP -> the bundle's folder is opened again, and its model takes over (models.py)
    SIGTERM, SIGINT -> NOT_SERVING, new calls UNAVAILABLE -> calls under way finish -> exit 0

A second signal exits at once. What keeps the server from starting is one line on standard error and exit
code 2. With --frontends, this process supervises others that serve (processes/).
"""

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from hanjaserve.server import jsonlog
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.config import ServerConfig, add_arguments, from_namespace
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.exits import DEVICE_LOST, DIED, run_loop
from hanjaserve.server.exposure import check_exposure
from hanjaserve.server.front import Front, opened_traces
from hanjaserve.server.metrics import exposed
from hanjaserve.server.model import EXAMPLE, Model, configured_rungs, default_bundle
from hanjaserve.server.processes.supervisor import supervise
from hanjaserve.server.runners.ladder import Rung
from hanjaserve.server.service import Described
from hanjaserve.server.signals import first_is_second, on_hangup, stop_on_signals

logger = logging.getLogger(__name__)

def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="hanjaserve serve", description="Serve Hangul to Hanja conversion over gRPC."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(namespace: argparse.Namespace) -> int:
    """Serve with parsed arguments (see `config.add_arguments`); returns the exit code."""
    try:
        return serve(from_namespace(namespace, os.environ))
    except HanjaserveError as error:
        return _refuse(error)


def serve(config: ServerConfig, rungs: tuple[Rung, ...] = ()) -> int:
    """Serve until a signal comes, with one of these runners or any; returns the exit code.

    With front-end processes the runners are opened in another process, so they must be picklable.
    """
    jsonlog.configure(config.log_level)
    try:
        return run_loop(supervise(config, rungs, banner) if config.frontends else _serve(config, rungs))
    except HanjaserveError as error:
        return _refuse(error)


async def _serve(config: ServerConfig, rungs: tuple[Rung, ...]) -> int:
    check_exposure(config)
    stop = stop_on_signals()
    path = Path(config.bundle_path or default_bundle())
    rungs = rungs or configured_rungs(config)

    async def open_model(front: Front) -> Model:
        return await Model.open(path, config, front.observer, on_change=front.describe, rungs=rungs)

    Bundle.open(path)  # a damaged one is refused before anybody can connect
    async with AsyncExitStack() as stack:
        front = Front(config, open_model, stack.enter_context(opened_traces(config)))
        if front.metrics:
            stack.enter_context(exposed(front.metrics, config.metrics_host, config.metrics_port))
        await stack.enter_async_context(front)
        stack.enter_context(on_hangup(front.reload))
        backend = await front.go_live()
        print(banner(config, backend, front.listener.port), flush=True)
        died = await first_is_second(stop, front.models.dead)
        await front.drain()
    logger.info("stopped")
    if front.models.device_lost:
        return DEVICE_LOST
    return DIED if died else 0


def banner(config: ServerConfig, backend: Described, port: int) -> str:
    """What a person who starts the server wants to know."""
    address = f"{_bracketed(config.host)}:{port}"
    target = "" if address == "127.0.0.1:50051" else f"--target {address} "
    skipped = "".join(f"\n          skipped {step}" for step in backend.ladder)
    return (
        f"hanjaserve {version('hanjaserve')}\n"
        f"  model   {backend.model} {backend.revision} ({backend.scheme})\n"
        f"  runner  {backend.runner}{skipped}\n"
        f"  serving {address}\n"
        f'  try     {_command()} convert {target}"{EXAMPLE}"'
    )


def _command() -> str:
    """How a person calls this installation from where the server was started."""
    if shutil.which("hanjaserve"):
        return "hanjaserve"
    here, script = Path.cwd(), Path(sys.executable).with_name("hanjaserve")
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refuse(error: HanjaserveError) -> int:
    print(f"hanjaserve: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return 2
