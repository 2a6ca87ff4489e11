"""Write the stubs of the API, or check that they are up to date.

Python's are beside the .proto files, TypeScript's in clients/typescript/src/gen. The include root is
this folder, so that the Python stubs import as `hanjaserve.v1` and need no patching. google/rpc/*.proto
come from the googleapis-common-protos distribution, whose stubs the generated Python code imports.
Run it as `python protos/generate.py [--check]`; it needs grpcio-tools, and for TypeScript the plugin
that `make setup-web` installs: without that, TypeScript is left alone.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
TYPESCRIPT = PROTOS.parent / "clients" / "typescript"
PLUGIN = TYPESCRIPT / "node_modules" / ".bin" / "protoc-gen-es"
# A browser speaks the own API only; the status of errors is not part of the TypeScript runtime.
WANTED_BY_TYPESCRIPT = ("hanjaserve/v1/hanjaserve.proto", "google/rpc/status.proto")


def generate_python(out: Path) -> None:
    """Write `*_pb2.py`, `*_pb2.pyi` and `*_pb2_grpc.py` for every .proto file under `out`."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    _protoc([f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")], sources)


def generate_typescript(out: Path) -> None:
    """Write `*_pb.ts` for the API under `out`."""
    flags = [f"--plugin=protoc-gen-es={PLUGIN}", f"--es_out={out}", "--es_opt=target=ts,import_extension=js"]
    _protoc(flags, WANTED_BY_TYPESCRIPT)


def _protoc(flags: Sequence[str], sources: Sequence[str]) -> None:
    """Run protoc.

    Raises:
        RuntimeError: It found a mistake; it has printed where.
    """
    includes = [
        PROTOS,
        Path(status_pb2.__file__).parents[2],
        Path(grpc_tools.__file__).parent / "_proto",
    ]
    if protoc.main(["protoc", *(f"-I{path}" for path in includes), *flags, *sources]) != 0:
        raise RuntimeError(f"protoc failed on {', '.join(sources)}: correct what it reports above")


def stubs(root: Path) -> Iterator[Path]:
    """Yield the generated files under `root`, relative to it."""
    for path in sorted(root.rglob("*_pb*")):
        if path.suffix in {".py", ".pyi", ".ts"}:
            yield path.relative_to(root)


def drift(generate: Callable[[Path], None], kept: Path) -> list[str]:
    """Return the stubs in `kept` that differ from what the .proto files give, one line each."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        wanted, found = set(stubs(fresh)), set(stubs(kept))
        lines = [f"{path}: missing" for path in sorted(wanted - found)]
        lines += [f"{path}: no longer generated" for path in sorted(found - wanted)]
        lines += [
            f"{path}: differs"
            for path in sorted(wanted & found)
            if (fresh / path).read_bytes() != (kept / path).read_bytes()
        ]
    return lines


def main() -> int:
    """Generate, or with --check compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Generate the API stubs.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on drift")
    check = parser.parse_args().check
    languages = [(generate_python, PROTOS)]
    if PLUGIN.exists():
        languages.append((generate_typescript, TYPESCRIPT / "src" / "gen"))
    else:
        print("TypeScript is left alone: `make setup-web` installs what it needs", file=sys.stderr)
    lines = []
    for generate, folder in languages:
        if check:
            lines += drift(generate, folder)
        else:
            generate(folder)
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
