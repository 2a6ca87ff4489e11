"""A real server, and the command line in a process of its own, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.process import ServerProcess

Hanjaserve = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def address(tiny_bundle: Path) -> Iterator[str]:
    with ServerProcess(tiny_bundle) as running:
        yield running.address


@pytest.fixture
def hanjaserve(address: str, tiny_bundle: Path) -> Hanjaserve:
    """Run a command against the server; the bundle is there for --local."""

    def run(
        *arguments: str | Path, stdin: bytes = b"", **environment: str
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-m", "hanjaserve.cli.main", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=60,
            env={
                **os.environ,
                "HANJASERVE_TARGET": address,
                "HANJASERVE_BUNDLE": str(tiny_bundle),
                # Else a TensorRT that is installed without a GPU is reported, as it should be.
                "HANJASERVE_RUNNER": "onnxruntime",
                **environment,
            },
        )

    return run
