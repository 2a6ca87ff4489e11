"""The server under test: a process of its own on a free port."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import counters

STOP_S = 30.0
SERVE = ("hanjaserve.cli.main", "serve")


class ServerFailed(Exception):
    """The server did not start; why is on standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server.

    Attributes:
        address: HOST:PORT.
        metrics_address: HOST:PORT of its metrics.
        pid: Its process.
    """

    address: str
    metrics_address: str
    pid: int

    def counters(self) -> counters.Counters:
        """What it has counted so far."""
        return counters.read(self.metrics_address)


@contextmanager
def running(
    bundle: Path, *, threads: int = 0, flags: Sequence[str] = (), command: Sequence[str] = SERVE
) -> Iterator[Server]:
    """Start a server, and stop it when the block ends.

    Args:
        bundle: What it serves.
        threads: Of its runner; 0 for one per core.
        flags: Other options of `hanjaserve serve`.
        command: The module to run, and what comes before the flags.

    Raises:
        ServerFailed: It did not start.
    """
    metrics_port = free_port()
    line = [sys.executable, "-m", *command, "--port", "0"]
    line += ["--metrics-port", str(metrics_port), "--bundle", str(bundle), "--threads", str(threads)]
    line += ["--log-level", "warning", *flags]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        yield Server(
            address=_address(process), metrics_address=f"127.0.0.1:{metrics_port}", pid=process.pid
        )
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _address(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if found := re.match(r"\s*serving (\S+)", line):
            return found[1]
    raise ServerFailed(f"the server did not start: exit code {process.wait()}")
