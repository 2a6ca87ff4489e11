"""Write the Python stubs of the API beside their .proto files, or check that they are up to date.

The include root is this folder, so that the stubs import as `hanjaserve.v1` and need no patching.
google/rpc/*.proto come from the googleapis-common-protos distribution, whose stubs the generated
code imports. Run it as `python protos/generate.py [--check]`; it needs grpcio-tools.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Write `*_pb2.py`, `*_pb2.pyi` and `*_pb2_grpc.py` for every .proto file under `out`.

    Raises:
        RuntimeError: protoc found a mistake; it has printed where.
    """
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    includes = [
        PROTOS,
        Path(status_pb2.__file__).parents[2],
        Path(grpc_tools.__file__).parent / "_proto",
    ]
    command = ["protoc", *(f"-I{path}" for path in includes)]
    command += [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main([*command, *sources]) != 0:
        raise RuntimeError(f"protoc failed on {', '.join(sources)}: correct what it reports above")


def stubs(root: Path) -> Iterator[Path]:
    """Yield the generated files under `root`, relative to it."""
    for path in sorted(root.rglob("*_pb2*")):
        if path.suffix in {".py", ".pyi"}:
            yield path.relative_to(root)


def drift() -> list[str]:
    """Return the stubs that differ from what the .proto files give, one line each."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        wanted, found = set(stubs(fresh)), set(stubs(PROTOS))
        lines = [f"{path}: missing" for path in sorted(wanted - found)]
        lines += [f"{path}: no longer generated" for path in sorted(found - wanted)]
        lines += [
            f"{path}: differs"
            for path in sorted(wanted & found)
            if (fresh / path).read_bytes() != (PROTOS / path).read_bytes()
        ]
    return lines


def main() -> int:
    """Generate, or with --check compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate the API stubs.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on drift")
    if not parser.parse_args().check:
        generate(PROTOS)
        return 0
    lines = drift()
    if lines:
        print(
            "stubs are out of date, run `make protos` and commit:",
            *lines,
            sep="\n  ",
            file=sys.stderr,
        )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
