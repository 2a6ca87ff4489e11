"""Print the tables: every policy on every trace of every device, in Markdown."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.simulator.replay import replay
from benchmarks.simulator.scenarios import Device, accelerator, two_cores
from benchmarks.simulator.summary import Summary, summarize

HEADER = "| arrivals | policy | texts/s | in time | padding | busy | p50 ms | p99 ms |"
Row = tuple[str, str, Summary]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the traces")
    parser.add_argument("--out", type=Path, help="write the numbers to this JSON file as well")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.seconds <= 3600:
        parser.error(f"--seconds is {arguments.seconds}: use 1 to 3600")
    results = {}
    for device in (two_cores(arguments.seconds), accelerator(arguments.seconds)):
        rows = list(compare(device))
        print(f"{device.name}:\n\n{table(rows)}\n")
        results[device.name] = [{"arrivals": a, "policy": p, **asdict(s)} for a, p, s in rows]
    if arguments.out:
        result = {"kind": "simulator", "seconds": arguments.seconds, "devices": results}
        text = json.dumps(result, ensure_ascii=False, indent=1)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def compare(device: Device) -> Iterator[Row]:
    """Every policy on every trace of a device."""
    for trace in device.traces():
        for policy in device.policies():
            found = replay(trace, policy, device.cost, device.runners)
            yield trace.name, policy.name, summarize(trace, found)


def table(rows: Sequence[Row]) -> str:
    """The lines of a table."""
    lines = [HEADER, "|---|---|" + "---:|" * 6]
    lines += [f"| {arrivals} | {policy} | {_cells(summary)} |" for arrivals, policy, summary in rows]
    return "\n".join(lines)


def _cells(summary: Summary) -> str:
    shares = (summary.in_time, summary.padding, summary.busy)
    cells = [f"{summary.texts_per_s:.0f}", *(f"{share:.0%}" for share in shares)]
    return " | ".join([*cells, _ms(summary.p50_ms), _ms(summary.p99_ms)])


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
