"""The server under test: a process of its own on a free port."""

import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_S = 30.0


class ServerFailed(Exception):
    """The server did not start; why is on standard error."""


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server.

    Attributes:
        address: HOST:PORT.
        cpu_s: Processor seconds that it took in all; known when it has ended.
        peak_rss_mib: Its largest resident size; known when it has ended.
    """

    address: str
    cpu_s: float = 0.0
    peak_rss_mib: float = 0.0


@contextmanager
def running(bundle: Path, *, threads: int, flags: Sequence[str] = ()) -> Iterator[Server]:
    """Start a server, and stop it when the block ends.

    Args:
        bundle: What it serves.
        threads: Of its runner.
        flags: Other options of `hanjaserve serve`.

    Raises:
        ServerFailed: It did not start.
    """
    command = [sys.executable, "-m", "hanjaserve.cli.main", "serve", "--port", "0"]
    command += ["--bundle", str(bundle), "--threads", str(threads), "--log-level", "warning"]
    process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
    try:
        server = Server(address=_address(process))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        yield server
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        server.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        server.peak_rss_mib = after.ru_maxrss / 1024
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _address(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if found := re.match(r"\s*serving (\S+)", line):
            return found[1]
    raise ServerFailed(f"the server did not start: exit code {process.wait()}")
