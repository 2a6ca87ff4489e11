"""The real server with runners that fall ill on command: `python -m tests.chaos.server [flags]`.

The file $CHAOS_CONTROL says who has what: `first hang`, `all nan`, `first slow 0.5`. A text with POISON in it
makes any runner throw.
"""

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from hanjaserve.server import app
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.config import add_arguments, from_namespace
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import Rung
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.shapes import Int32

POISON = "독"


class FaultyRunner:
    """Computes with OpenVINO, when it feels like it."""

    def __init__(self, name: str, bundle: Bundle, threads: int, control: Path) -> None:
        self.name = name
        self._inner = OpenVinoRunner(bundle, threads)
        # Kept open: one of the faults is that no file can be opened any more.
        self._control = os.open(control, os.O_RDONLY)

    def run(self, tokens: Int32) -> Int32:
        symptom = self._symptom()
        while symptom == "hang":
            time.sleep(0.02)
            symptom = self._symptom()
        if symptom.startswith("slow"):
            time.sleep(float(symptom.split()[1]))
        if symptom == "throw" or (tokens == ord(POISON)).any():
            raise RuntimeError("told to fail")
        output = self._inner.run(tokens)
        match symptom:
            case "rows":
                return np.roll(output, 1, axis=0)
            case "nan":
                return np.full_like(output, np.iinfo(np.int32).min)
            case "size":
                return output[:, :-1]
        return output

    def _symptom(self) -> str:
        who, _, symptom = os.pread(self._control, 100, 0).decode().strip().partition(" ")
        return symptom if who in (self.name, "all") else ""

    def close(self) -> None:
        self._inner.close()
        os.close(self._control)


def rung(name: str, control: Path) -> Rung:
    # Not a closure: with --frontends it travels to the engine process.
    return Rung(name=name, device=name, open=partial(open_faulty, name, control))


def open_faulty(name: str, control: Path, bundle: Bundle, threads: int) -> Runner:
    return FaultyRunner(name, bundle, threads, control)


def main() -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    config = from_namespace(parser.parse_args(), os.environ)
    control = Path(os.environ["CHAOS_CONTROL"])
    return app.serve(config, (rung("first", control), rung("second", control)))


if __name__ == "__main__":
    sys.exit(main())
