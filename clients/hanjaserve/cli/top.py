"""`hanjaserve top`: rates, queue and latencies of a running server, read from its metrics port.

hanjaserve top                       # http://127.0.0.1:9464/metrics, every two seconds
hanjaserve top --once --url http://10.0.0.7:9464/metrics
"""

import argparse
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from hanjaserve.cli.errors import NO_SERVER, OK, CliError
from hanjaserve.cli.interruption import run_interruptibly

DEFAULT_URL = "http://127.0.0.1:9464/metrics"
CLEAR = "\x1b[H\x1b[2J"
MIB = 2**20
LIVE = "/hanjaserve.v1.HanjaService/LiveConvert"

Sample = tuple[str, frozenset[tuple[str, str]]]
Samples = Mapping[Sample, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--url", default=DEFAULT_URL, help=f"where the server shows its metrics; default {DEFAULT_URL}"
    )
    parser.add_argument("--interval", type=float, default=2.0, metavar="S", help="seconds between views")
    parser.add_argument("--once", action="store_true", help="print one view and end")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return run_interruptibly(lambda _: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    before, since = _read(arguments.url), time.monotonic()
    while True:
        time.sleep(max(0.1, arguments.interval))
        now, moment = _read(arguments.url), time.monotonic()
        page = view(before, now, moment - since)
        print(page if arguments.once or not sys.stdout.isatty() else CLEAR + page, flush=True)
        if arguments.once:
            return OK
        before, since = now, moment


def view(before: Samples, now: Samples, seconds: float) -> str:
    """What two readings, so many seconds apart, tell."""

    def rate(name: str, **labels: str) -> float:
        return (total(now, name, **labels) - total(before, name, **labels)) / seconds

    info = next((dict(labels) for (name, labels) in now if name == "hanjaserve_model_info"), {})
    computed = rate("hanjaserve_computed_tokens_total")
    padding = 1 - rate("hanjaserve_tokens_total") / computed if computed else 0.0
    lines = [
        f"model     {info.get('model', '(loading)')} {info.get('revision', '')} "
        f"on {info.get('runner', 'none')}"
        + ("" if total(now, "hanjaserve_ready") else "   NOT READY"),
        f"calls     {rate('hanjaserve_requests_total'):10.1f} /s   "
        f"under way {total(now, 'hanjaserve_calls_in_progress'):.0f}   "
        f"live {total(now, 'hanjaserve_calls_in_progress', method=LIVE):.0f}",
        f"tokens    {rate('hanjaserve_tokens_total'):10.0f} /s   padding {padding:.0%}",
        f"queue     {total(now, 'hanjaserve_queued_tokens'):10.0f} tokens   "
        f"{total(now, 'hanjaserve_queued_seconds'):.2f} s",
        f"p99       {1e3 * quantile(before, now, 'hanjaserve_request_seconds', 0.99):10.1f} ms call   "
        f"{1e3 * quantile(before, now, 'hanjaserve_queue_seconds', 0.99):.1f} ms queue   "
        f"{1e3 * quantile(before, now, 'hanjaserve_run_seconds', 0.99):.1f} ms batch   (upper bounds)",
        f"refused   {rate('hanjaserve_rejected_total'):10.1f} /s   {_reasons(before, now)}",
        f"memory    {total(now, 'process_resident_memory_bytes') / MIB:10.0f} MiB   "
        f"files {total(now, 'process_open_fds'):.0f}   "
        f"runners lost {total(now, 'hanjaserve_runner_failures_total'):.0f}",
    ]
    return "\n".join(lines)


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all samples of a name that have these labels."""
    return sum(
        value for (found, has), value in samples.items() if found == name and set(labels.items()) <= has
    )


def quantile(before: Samples, now: Samples, name: str, part: float) -> float:
    """The upper bound of the bucket in which the quantile of what is new lies; 0 if nothing is."""
    counts: dict[float, float] = {}
    for (found, labels), value in now.items():
        if found == f"{name}_bucket":
            bound = float(dict(labels)["le"])
            counts[bound] = counts.get(bound, 0.0) + value - before.get((found, labels), 0.0)
    if not counts or not counts[max(counts)]:
        return 0.0
    return min(bound for bound, count in counts.items() if count >= part * counts[max(counts)])


def _reasons(before: Samples, now: Samples) -> str:
    grown = {
        dict(labels)["reason"]: value - before.get((name, labels), 0.0)
        for (name, labels), value in now.items()
        if name == "hanjaserve_rejected_total"
    }
    most = sorted(grown.items(), key=lambda pair: -pair[1])[:4]
    return ", ".join(f"{reason} {count:.0f}" for reason, count in most if count)


def _read(url: str) -> Samples:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            text = page.read().decode()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise CliError(
            f"no metrics at {url} ({reason}): start the server with --metrics-port, or give --url", NO_SERVER
        ) from error
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
