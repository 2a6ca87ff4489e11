"""`hanjaserve build compile | check-engine`: arguments in, lines on the terminal out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.runners.buckets import LENGTHS, MAX_BATCH_TOKENS, BucketTable, parse_lengths
from hanjaserve.server.runners.plans import LANES, PlanCache, default_cache_root


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `compile`."""
    _add_bundle(parser)
    parser.add_argument(
        "--flavour",
        choices=("auto", "tensorrt", "tensorrt-rtx"),
        default="auto",
        help="which TensorRT (default: the one that is installed)",
    )
    parser.add_argument(
        "--target", default="", metavar="X.Y", help="tensorrt-rtx: compute capability; default: all it knows"
    )
    parser.add_argument(
        "--max-batch-tokens", type=int, default=MAX_BATCH_TOKENS, help="as for serve (default: %(default)s)"
    )
    parser.add_argument(
        "--buckets",
        default=",".join(map(str, LENGTHS)),
        metavar="N,N,...",
        help="row lengths, as for serve (default: %(default)s)",
    )
    parser.add_argument(
        "--lanes", type=int, default=LANES, help="execution contexts, as for serve (default: %(default)s)"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where plans are kept (default: ~/.cache)")


def add_check(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `check-engine`."""
    _add_bundle(parser)


def run_compile(namespace: argparse.Namespace) -> int:
    """Build a bundle's plan for this machine, or say that there is one."""
    from hanjaserve.build.compile import choose_flavour, compile_plan, spec_for

    bundle = _bundle(namespace)
    buckets = BucketTable.for_model(
        bundle.manifest.max_tokens, namespace.max_batch_tokens, parse_lengths(namespace.buckets)
    )
    flavour = choose_flavour(namespace.flavour)
    spec = spec_for(bundle, flavour, buckets, target=namespace.target, lanes=namespace.lanes)
    cache = PlanCache(root=namespace.cache or default_cache_root(os.environ))
    print(
        f"{spec.flavour} {spec.version}, GPU {spec.device}, compute capability {spec.compute}, "
        f"{len(buckets.buckets)} buckets, {len(buckets.profiles)} profiles for each of {spec.lanes} contexts"
    )
    compiled = compile_plan(bundle, spec, cache, report=_show)
    size = compiled.path.stat().st_size / 1e6
    print(f"{'built' if compiled.built else 'already there:'} {compiled.path} ({size:.0f} MB)")
    return 0


def run_check(namespace: argparse.Namespace) -> int:
    """Build the FP16 graphs by TensorRT for RTX, without a GPU."""
    from hanjaserve.build.engine_check import check_engines

    check_engines(_bundle(namespace), say=lambda line: print(line, flush=True))
    return 0


def _show(line: str) -> None:
    """Progress: one line that rewrites itself on a terminal, nothing in a log file."""
    if sys.stderr.isatty():
        print(f"\r{line:79.79}", end="", file=sys.stderr, flush=True)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="(default: the bundle of this installation)"
    )


def _bundle(namespace: argparse.Namespace) -> Bundle:
    path = namespace.bundle
    if path is None:
        from hanjaserve.models import default_bundle_path

        path = default_bundle_path()
    return Bundle.open(path)
