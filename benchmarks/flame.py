"""A flame graph of the server's Python under a stream, to docs/plots/frontend.svg.

    python -m benchmarks.flame [--seconds 10]

The model is the tests' tiny one, which computes next to nothing, so that what is seen is the front-end: what
a text costs besides the runner. py-spy samples the process from outside (github.com/benfred/py-spy).
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import load
from benchmarks.performance import PLOTS
from benchmarks.server import running
from benchmarks.targets import Hanjaserve
from benchmarks.texts import load_mix
from hanjaserve.client import Client
from tests.support.tiny import make_tiny_bundle

TITLE = "hanjaserve: the front-end under a stream, a model that computes next to nothing"


def main(argv: Sequence[str] | None = None) -> int:
    """Record; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=PLOTS / "frontend.svg")
    arguments = parser.parse_args(argv)
    tool = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if tool is None:
        print("flame: py-spy is not installed: pip install py-spy", file=sys.stderr)
        return 2
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(_bundle(folder)) as server:
        command = [tool, "record", "--pid", str(server.pid), "--duration", str(int(arguments.seconds))]
        command += ["--rate", "200", "--output", str(arguments.out)]
        asyncio.run(_under_load(server.address, command, arguments.seconds))
    arguments.out.write_text(without_paths(arguments.out.read_text("utf-8")), "utf-8")
    return 0


def without_paths(svg: str) -> str:
    """The graph without paths of this machine.

    The tool's own title is its command line, and a file that belongs to no package has its full path.
    """
    titled = re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\1{TITLE}", svg)
    return re.sub(r"\(/[^()<:]*/", "(", titled)


def _bundle(folder: str) -> Path:
    return make_tiny_bundle(Path(folder) / "tiny", max_tokens=512)


async def _under_load(address: str, command: list[str], seconds: float) -> None:
    async with Client(address) as client:
        await client.wait_ready()
        begun = asyncio.Event()
        texts = load_mix().texts
        flow = load.flow(Hanjaserve(client), texts, seconds=seconds + 2, begun=begun)
        task = asyncio.create_task(flow)
        await begun.wait()
        await asyncio.to_thread(subprocess.run, command, check=True)
        found = await task
        print(f"{found.texts_per_s:.0f} texts/s")


if __name__ == "__main__":
    sys.exit(main())
