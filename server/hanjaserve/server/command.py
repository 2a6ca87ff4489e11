"""Where `hanjaserve serve` begins: with what must hold before gRPC is imported.

gRPC itself writes a line to standard error for each handshake that fails, and for headers that it can't
read, with their bytes, which need not be UTF-8. Strangers could fill the disk or write what they like into
the log. What matters is raised or answered, too. Whoever wants the lines sets GRPC_VERBOSITY.
"""

import argparse
import os
from collections.abc import Sequence


def run(namespace: argparse.Namespace) -> int:
    """Serve with parsed arguments; returns the exit code."""
    _quiet_grpc()
    from hanjaserve.server import app

    return app.run(namespace)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; returns the exit code."""
    _quiet_grpc()
    from hanjaserve.server import app

    return app.main(argv)


def _quiet_grpc() -> None:
    # Read once, when gRPC is imported; processes that are started later inherit it.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
