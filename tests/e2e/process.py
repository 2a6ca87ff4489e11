"""A real server in a process of its own, as a user would start it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

START_S = 60.0


class ServerProcess:
    """Starts a server on a free port and waits until it says that it is serving."""

    def __init__(
        self,
        bundle: Path,
        *flags: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        module: str = "hanjaserve.server",
    ) -> None:
        command = [*prefix, sys.executable, "-m", module, "--bundle", str(bundle)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--threads", "1", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.banner: list[str] = []
        self.log: list[str] = []
        self.address = ""
        self._serving = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_banner), threading.Thread(target=self._read_log)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "ServerProcess":
        if not self._serving.wait(START_S) or not self.address:
            self.kill()
            raise AssertionError("the server did not start:\n" + "\n".join(self.log))
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit code."""
        code = self.process.wait(timeout)
        self._close()
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._close()

    def _close(self) -> None:
        for thread in self._threads:
            thread.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def _read_banner(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.banner.append(line.rstrip("\n"))
            if found := re.match(r"\s*serving (\S+)", line):
                self.address = found[1]
            elif line.strip().startswith("try"):  # the last line of the banner
                self._serving.set()
        self._serving.set()  # it will not come any more

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
