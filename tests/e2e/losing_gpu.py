"""A server whose GPU fails for good when it sees a skull; otherwise it is the real one, on the CPU."""

import argparse
import os
import sys

from hanjaserve.server import app
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.config import add_arguments, from_namespace
from hanjaserve.server.errors import DeviceLost
from hanjaserve.server.runners.base import Done, Flight
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.runners.rung import Rung
from hanjaserve.server.shapes import Int32

SKULL = "☠"


class LosingRunner(OpenVinoRunner):
    """An OverlappingRunner."""

    depth = 2
    lost = False

    def run(self, tokens: Int32) -> Int32:
        self.lost = self.lost or bool((tokens == ord(SKULL)).any())
        if self.lost:
            raise DeviceLost("cuGraphLaunch failed: an illegal memory access was encountered")
        return super().run(tokens)

    def submit(self, tokens: Int32) -> Flight:
        return Done(self.run(tokens))


def main() -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def open_runner(bundle: Bundle, threads: int) -> LosingRunner:
        return LosingRunner(bundle, threads)

    rung = Rung(name="openvino", device="gpu", open=open_runner)
    return app.serve(from_namespace(parser.parse_args(), os.environ), (rung,))


if __name__ == "__main__":
    sys.exit(main())
