"""`hanjaserve evaluate`: how well the model agrees with human conversions.

    hanjaserve evaluate --data pairs.tsv --json metrics.json

The sentences go through the running server, or through this process with --local, as those of any
caller would. What the numbers mean is in `hanjaserve.build.metrics`; the file format in `pairs.py`.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from hanjaserve.build.metrics import (
    Counts,
    Interval,
    align,
    bootstrap,
    bootstrap_calibration,
    count,
    totals,
)
from hanjaserve.cli.engines import Engine, EngineInfo, add_engine_arguments, open_engine
from hanjaserve.cli.errors import FAILED, OK, USAGE, CliError
from hanjaserve.cli.interruption import Leftovers, run_interruptibly
from hanjaserve.cli.lines import atomic_output
from hanjaserve.cli.pairs import Pair, read_pairs
from hanjaserve.client import Conversion, ConvertOptions, ItemError, Result

CHUNK = 256


@dataclass(slots=True, kw_only=True)
class Tally:
    """What is collected while the sentences come back.

    Attributes:
        counts: One per sentence.
        owners: The number of the sentence of every span.
        scores: The score of every span.
        right: Whether the span is as in gold.
    """

    counts: list[Counts] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(self, pair: Pair, found: Conversion, readings: dict[str, str] | None) -> None:
        """Count a sentence."""
        for span in found.spans:
            self.owners.append(len(self.counts))
            self.scores.append(span.score)
            self.right.append(pair.mixed[span.start : span.end] == span.hanja)
        self.counts.append(
            count(
                pair.hangul,
                pair.mixed,
                align(pair.hangul, found.text, found.spans),
                readings=readings,
                length_changed=len(found.text) != len(pair.hangul),
            )
        )

    def metrics(self) -> dict[str, Interval]:
        """Every metric with its confidence interval."""
        calibration = bootstrap_calibration(self.owners, self.scores, self.right)
        return bootstrap(self.counts) | {"calibration_error": calibration}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="PAIRS.tsv",
        help="HANGUL TAB MIXED per line, the same length; .xz will do",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, too")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N sentences only")
    parser.add_argument("--style", default="", help="orthographic style; see `hanjaserve info`")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if arguments.limit is not None and arguments.limit < 1:
        raise CliError(f"--limit is {arguments.limit}; use at least 1", USAGE)
    return run_interruptibly(partial(_run, arguments))


def _run(arguments: argparse.Namespace, leftovers: Leftovers) -> int:
    options = ConvertOptions(with_spans=True, style=arguments.style)
    # Read to the end first: a malformed line should show before minutes of work.
    pairs = list(islice(read_pairs(arguments.data), arguments.limit))
    if not pairs:
        raise CliError(f"{arguments.data} has no sentence pairs", USAGE)
    with open_engine(arguments) as engine:
        info = engine.info
        readings = _readings(info)
        tally = _tally(engine, pairs, options, readings, arguments.data)
    metrics, counts = tally.metrics(), asdict(totals(tally.counts))
    if readings is None:
        counts["reading_violations"] = None
    print(_table(metrics, counts))
    if arguments.json:
        report = {
            "data": arguments.data.name,
            "model": info.model,
            "model_revision": info.revision,
            "runner": info.runner,
            "metrics": {name: _plain(interval) for name, interval in metrics.items()},
            "counts": counts | {"spans": len(tally.scores)},
        }
        with atomic_output(arguments.json, leftovers) as file:
            file.write(json.dumps(report, ensure_ascii=False, indent=2).encode() + b"\n")
    return OK


def _tally(
    engine: Engine,
    pairs: list[Pair],
    options: ConvertOptions,
    readings: dict[str, str] | None,
    path: Path,
) -> Tally:
    tally = Tally()
    chunks = ([pair.hangul for pair in pairs[start : start + CHUNK]] for start in range(0, len(pairs), CHUNK))
    results = _shown(engine.convert(chunks, options), len(pairs))
    for pair, result in zip(pairs, results, strict=True):
        if isinstance(result, ItemError):
            raise CliError(f"{path}:{pair.line}: {result.message}", FAILED)
        tally.add(pair, result, readings)
    return tally


def _shown(results: Iterable[Result], total: int) -> Iterable[Result]:
    """The results, with a progress bar when someone looks."""
    if not sys.stderr.isatty():
        return results
    from tqdm import tqdm

    bar: Iterable[Result] = tqdm(results, total=total, unit=" sentences", file=sys.stderr)
    return bar


def _readings(info: EngineInfo) -> dict[str, str] | None:
    """The readings of the model that converts, when its bundle is on this machine."""
    from hanjaserve.models import default_bundle_path
    from hanjaserve.server.bundle import Bundle
    from hanjaserve.server.errors import BundleError

    for folder in (info.bundle, default_bundle_path()):
        try:
            bundle = Bundle.open(folder, verify=False) if folder else None
        except BundleError:
            continue
        if bundle is None or bundle.manifest.revision != info.revision:
            continue
        table = bundle.root / "readings.tsv"
        if table.exists():
            lines = table.read_text("utf-8").split("\n")
            return dict(line.split("\t", 1) for line in lines if line)
    return None


def _table(metrics: dict[str, Interval], counts: dict[str, int | None]) -> str:
    rows = [f"{'':24}{'value':>8}   95 % interval"]
    for name, interval in metrics.items():
        numbers = (_number(value) for value in (interval.value, interval.low, interval.high))
        rows.append("{:24}{:>8}   {:>8} {:>8}".format(name.replace("_", " "), *numbers))
    rows.append("")
    for name in ("sentences", "syllables", "words", "reading_violations", "length_changes"):
        number = counts[name]
        shown = "n/a" if number is None else f"{number:,}"
        rows.append(f"{name.replace('_', ' '):24}{shown:>8}")
    return "\n".join(rows)


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.4f}"


def _plain(interval: Interval) -> dict[str, float | None]:
    """An interval for JSON, which has no NaN."""
    return {name: None if math.isnan(value) else round(value, 6) for name, value in asdict(interval).items()}
