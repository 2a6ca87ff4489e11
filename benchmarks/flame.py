"""Flame graphs of the server, to docs/plots/frontend.svg and unary.svg.

    python -m benchmarks.flame [stream|unary] [--seconds 10]

stream: with the tests' tiny model, which hardly computes, so that what is seen is the front-end, what a text
costs besides the runner. unary: with the bundled model and 64 calls in flight, a column for every thread,
C and C++ included: who has the processor. py-spy samples the process from outside
(github.com/benfred/py-spy).
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.performance import PLOTS
from benchmarks.server import running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import load_mix
from hanjaserve.client import Client
from hanjaserve.models import default_bundle_path
from tests.support.tiny import make_tiny_bundle

IN_FLIGHT = 64
WARM_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What is looked at.

    Attributes:
        title: Of the picture.
        file: Its name.
        flags: For py-spy.
        is_tiny: Whether the model is one that computes next to nothing.
    """

    title: str
    file: str
    flags: tuple[str, ...]
    is_tiny: bool = False


GRAPHS = {
    "stream": Graph(
        title="hanjaserve: the front-end under a stream, a model that computes next to nothing",
        file="frontend.svg",
        flags=("--rate", "200"),
        is_tiny=True,
    ),
    "unary": Graph(
        title=f"hanjaserve: {IN_FLIGHT} unary calls in flight, by thread",
        file="unary.svg",
        # The process stands still while its C frames are looked up, so not too often.
        flags=("--rate", "40", "--native", "--threads"),
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Record; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("what", nargs="?", choices=GRAPHS, help="(default: both)")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=PLOTS, help="folder")
    arguments = parser.parse_args(argv)
    tool = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if tool is None:
        print("flame: py-spy is not installed: pip install py-spy", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    for what in [arguments.what] if arguments.what else GRAPHS:
        _record(tool, what, arguments.out, arguments.seconds)
    return 0


def _record(tool: str, what: str, folder: Path, seconds: float) -> None:
    graph = GRAPHS[what]
    out = folder / graph.file
    with tempfile.TemporaryDirectory() as made:
        bundle = make_tiny_bundle(Path(made) / "tiny", max_tokens=512) if graph.is_tiny else None
        with running(bundle or default_bundle_path()) as server:
            command = [tool, "record", "--pid", str(server.pid), "--duration", str(int(seconds))]
            command += ["--output", str(out), *graph.flags]
            asyncio.run(_under_load(what, server.address, command, seconds))
    out.write_text(without_paths(out.read_text("utf-8"), graph.title), "utf-8")


def without_paths(svg: str, title: str) -> str:
    """The graph without paths of this machine.

    The tool's own title is its command line, and a file that belongs to no package has its full path.
    """
    titled = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\1{title}", svg)
    return re.sub(r"\(/[^()<:]*/", "(", titled)


async def _under_load(what: str, address: str, command: list[str], seconds: float) -> None:
    async with Client(address) as client:
        await client.wait_ready()
        texts, target = load_mix().texts, Hanjaserve(client)
        begun = asyncio.Event()
        if what == "stream":
            task = asyncio.create_task(load.flow(target, texts, seconds=seconds + 2, begun=begun))
            await begun.wait()
        else:
            calls = load.closed_loop(target, texts, in_flight=IN_FLIGHT, seconds=seconds + 2, warm_s=WARM_S)
            task = asyncio.create_task(calls)
            await asyncio.sleep(WARM_S)
        await asyncio.to_thread(subprocess.run, command, check=True)
        found = await task
        print(f"{what}: {found.texts_per_s:.0f} texts/s")


if __name__ == "__main__":
    sys.exit(main())
