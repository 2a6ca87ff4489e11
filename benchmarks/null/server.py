"""`python -m benchmarks.null.server --batch-us 500 --token-us 0.25 [flags of serve]`."""

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.null.runner import null_rung
from benchmarks.simulator.cost import Cost
from hanjaserve.server import app
from hanjaserve.server.config import add_arguments, from_namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null.server", description=__doc__)
    parser.add_argument("--batch-us", type=float, required=True, help="microseconds of any batch")
    parser.add_argument("--token-us", type=float, required=True, help="and of each of its tokens")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    cost = Cost(batch_s=1e-6 * arguments.batch_us, token_s=1e-6 * arguments.token_us)
    return app.serve(from_namespace(arguments, os.environ), (null_rung(cost),))


if __name__ == "__main__":
    sys.exit(main())
