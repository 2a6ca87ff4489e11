"""`hanjaserve bulk`: convert files and folders of any size, without a server.

    hanjaserve bulk corpus/ -o converted/ --column text --out-column hanja

Parquet, JSON lines, CSV and text; the last three also compressed. Killed, it goes on where it was: run it
again. A row that can't be converted ends it, unless --on-error says otherwise; then the exit code tells.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hanjaserve.cli.bulk.sources import find_sources
from hanjaserve.cli.engines import local_options
from hanjaserve.cli.errors import BAD_ROWS, FAILED, OK, USAGE, CliError
from hanjaserve.cli.interruption import Leftovers, run_interruptibly
from hanjaserve.cli.wishes import add_option_arguments, options_of
from hanjaserve.client import ConvertOptions

if TYPE_CHECKING:
    from hanjaserve.cli.bulk.ledger import Ledger
    from hanjaserve.cli.bulk.parts import Report, Task

PART_ROWS = 10_000
SHOWN = 10
"""How many bad rows are printed; the file has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("input", nargs="+", type=Path, metavar="PATH", help="files, or folders with files")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument("--column", default="text", metavar="NAME", help="column to convert; default text")
    parser.add_argument(
        "--out-column", default="hanja", metavar="NAME", help="column of the results; default hanja"
    )
    parser.add_argument(
        "--on-error",
        choices=("fail", "skip", "null"),
        default="fail",
        help="a row without a text that can be converted: end here (default), leave it out, write null",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew instead of going on")
    parser.add_argument(
        "--part-rows",
        type=_positive,
        default=PART_ROWS,
        metavar="N",
        help=f"most rows of a part, which is what a kill can cost a worker; default {PART_ROWS}",
    )
    parser.add_argument("--workers", type=_positive, metavar="N", help="processes; default one per core")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster; default this machine alone")
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        type=Path,
        default=os.environ.get("HANJASERVE_BUNDLE"),
        help="the model bundle; default $HANJASERVE_BUNDLE, else the bundled one; $HANJASERVE_RUNNER pins "
        "what computes",
    )
    parser.add_argument(
        "--first-only", action="store_true", help="convert a word once per row, the first time"
    )
    add_option_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return run_interruptibly(partial(_run, arguments))


def _run(arguments: argparse.Namespace, leftovers: Leftovers) -> int:
    options = options_of(arguments, first_only=arguments.first_only)
    sources = find_sources(arguments.input, arguments.output)
    try:
        from hanjaserve.cli.bulk.job import reports
        from hanjaserve.cli.bulk.ledger import opened
    except ModuleNotFoundError as error:
        raise CliError(f"{error.name} is not installed: pip install 'hanjaserve[bulk]'", USAGE) from error
    task = _task(arguments, options)
    output, on_error = arguments.output, arguments.on_error
    with opened(
        output, _work(task), sources, leftovers, on_error=on_error, restart=arguments.restart
    ) as ledger:
        earlier, started = ledger.rows, time.monotonic()
        if not ledger.complete:
            finished = frozenset(ledger.reports)
            where = {"workers": arguments.workers, "address": arguments.address}
            with closing(reports(task, sources, finished, leftovers, **where)) as found:
                _follow(found, ledger, on_error)
            ledger.finish()
        _tell(ledger, output, ledger.rows - earlier, time.monotonic() - started)
        return BAD_ROWS if ledger.bad_rows else OK


def _task(arguments: argparse.Namespace, options: ConvertOptions) -> "Task":
    from hanjaserve.cli.bulk.formats import Columns
    from hanjaserve.cli.bulk.parts import Task
    from hanjaserve.models import default_bundle_path
    from hanjaserve.server.bundle import Bundle
    from hanjaserve.server.errors import HanjaserveError

    try:
        bundle = Bundle.open(arguments.bundle or default_bundle_path())
        local_options(options, bundle)
    except HanjaserveError as error:
        raise CliError(str(error), USAGE) from error
    return Task(
        bundle=str(bundle.root.resolve()),
        revision=bundle.manifest.revision,
        runner=os.environ.get("HANJASERVE_RUNNER", "auto"),
        options=options,
        columns=Columns(text=arguments.column, out=arguments.out_column),
        on_error=arguments.on_error,
        part_rows=arguments.part_rows,
        output=str(arguments.output.resolve()),
    )


def _work(task: "Task") -> dict[str, object]:
    """What the output depends on, beside the files."""
    options = asdict(task.options)
    words = repr(options["glossary"]).encode()
    return {
        "revision": task.revision,
        "options": {**options, "glossary": hashlib.sha256(words).hexdigest()},
        "columns": asdict(task.columns),
        "part_rows": task.part_rows,
        "versions": {name: version(name) for name in ("hanjaserve", "pyarrow")},
    }


def _follow(reports: "Iterable[Report]", ledger: "Ledger", on_error: str) -> None:
    """Record the reports as they come, and show how far it is where somebody looks.

    Raises:
        CliError: A file can't be read or written, or a row is bad and nothing else was asked for.
    """
    from tqdm import tqdm

    with tqdm(initial=ledger.rows, unit=" rows", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        for report in reports:
            if report.fault:
                raise CliError(report.fault, FAILED)
            if report.bad and on_error == "fail":
                row, reason = report.bad[0]
                raise CliError(f"{report.path}: row {row}: {reason} (see --on-error)", BAD_ROWS)
            ledger.record(report)
            bar.update(report.rows)


def _tell(ledger: "Ledger", output: Path, rows: int, seconds: float) -> None:
    bad = ledger.bad_rows
    for path, row, reason in bad[:SHOWN]:
        print(f"{path}: row {row}: {reason}", file=sys.stderr)
    if len(bad) > SHOWN:
        print(f"and {len(bad) - SHOWN:,} more: see {output / 'bad_rows.jsonl'}", file=sys.stderr)
    total = f"{ledger.rows:,} rows in {len(ledger.reports):,} parts, {len(bad):,} bad"
    now = f"{rows:,} rows now, in {seconds:.1f} s ({rows / seconds:,.0f}/s)" if rows else "nothing was left"
    print(f"{output}: {total}; {now}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is no positive number")
    return number
