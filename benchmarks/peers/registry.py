"""Which peers there are, how each is started, and how it is called."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.peers import targets
from benchmarks.peers.environments import HERE, python_of
from benchmarks.peers.targets import Peer

Connect = Callable[[int], AbstractAsyncContextManager[Peer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A server to measure.

    Attributes:
        name: Its folder, and what `--only` calls it.
        title: For the tables.
        connect: Opens a target on its port.
        command: Starts it, by the interpreter of its environment and its port.
    """

    name: str
    title: str
    connect: Connect
    command: Callable[[Path, int], list[str]]

    def python(self) -> Path:
        """The interpreter that it runs with; makes the environment. Raises Absent."""
        return Path(sys.executable) if self.name == OURS else python_of(self.name)


OURS = "hanjaserve"


def _script(name: str) -> Callable[[Path, int], list[str]]:
    return lambda python, port: [str(python), str(HERE / name / "serve.py")]


def _bentoml(python: Path, port: int) -> list[str]:
    tool = python.with_name("bentoml")
    where = ["--working-dir", str(HERE / "bentoml"), "--host", "127.0.0.1", "--port", str(port)]
    return [str(tool), "serve", "serve:Convert", *where]


def _ours(python: Path, port: int) -> list[str]:
    return [str(python), "-m", "hanjaserve.server", "--port", str(port), "--log-level", "warning"]


CANDIDATES = (
    Candidate(name=OURS, title="hanjaserve", connect=targets.hanja, command=_ours),
    Candidate(
        name="fastapi",
        title="FastAPI",
        connect=partial(targets.http, path="/convert"),
        command=_script("fastapi"),
    ),
    Candidate(
        name="litserve",
        title="LitServe",
        connect=partial(targets.http, path="/predict"),
        command=_script("litserve"),
    ),
    Candidate(
        name="mosec",
        title="mosec",
        connect=partial(targets.http, path="/inference"),
        command=_script("mosec"),
    ),
    Candidate(
        name="bentoml",
        title="BentoML",
        connect=partial(targets.http, path="/convert", as_list=True),
        command=_bentoml,
    ),
    Candidate(name="ray", title="Ray Serve (gRPC)", connect=targets.hanja, command=_script("ray")),
    Candidate(
        name="triton",
        title="Triton (PyTriton)",
        connect=partial(targets.kserve, model="hanja"),
        command=_script("triton"),
    ),
)
