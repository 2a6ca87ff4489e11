"""`make check-kserve`: NVIDIA's own client of KServe v2 against the server; see tritonclient/check.py."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.environments import HERE, Absent, python_of
from benchmarks.server import ServerFailed, running
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle

CHECK_S = 60


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check against a server of its own; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.kserve", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    bundle = parser.parse_args(argv).bundle
    check = HERE / "tritonclient" / "check.py"
    try:
        python = python_of("tritonclient")
        with running(bundle) as server:
            name = Bundle.open(bundle).manifest.name
            done = subprocess.run([str(python), str(check), server.address, name], timeout=CHECK_S)
    except (Absent, ServerFailed) as error:
        print(f"check-kserve: {error}", file=sys.stderr)
        return 2
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
