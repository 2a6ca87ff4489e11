"""Where `hanjaserve serve` begins: with what must hold before gRPC is imported.

gRPC itself writes a line to standard error for each handshake that fails. Strangers could fill the disk
with them, and they are not JSON. Whoever wants them sets GRPC_VERBOSITY.
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
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
