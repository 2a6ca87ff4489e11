"""`hanjaserve info`: which model converts, by which runner, and which styles it knows."""

import argparse
import json
from dataclasses import asdict

from hanjaserve.cli.engines import add_engine_arguments, open_engine
from hanjaserve.cli.errors import OK
from hanjaserve.cli.interruption import run_interruptibly


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return run_interruptibly(lambda _: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    with open_engine(arguments) as engine:
        info = engine.info
    if arguments.json:
        print(json.dumps(asdict(info), ensure_ascii=False, default=str))
        return OK
    print(f"where     {info.where}")
    print(f"model     {info.model} {info.revision} ({info.scheme})")
    print(f"runner    {info.runner}")
    for step in info.skipped:
        print(f"          skipped {step}")
    print(f"styles    {', '.join(info.styles)}")
    return OK
