"""What a run leaves behind: JSON with machine, versions and commit, and a table for people."""

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.counters import Counters
from benchmarks.load import Load
from benchmarks.raw import Ceiling

PACKAGES = ("hanjaserve", "grpcio", "protobuf", "numpy", "openvino", "onnxruntime", "uvloop")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}

Row = dict[str, object]


def environment(packages: Sequence[str] = ()) -> Row:
    """The machine, the versions (of these packages as well) and the commit."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*PACKAGES, *packages)},
        "commit": _commit(),
    }


def load_row(load: Load, raw: Ceiling | None = None, used: Counters | None = None) -> Row:
    """One load as JSON.

    Args:
        load: What was measured.
        raw: What the bare runner did just before and after.
        used: What the server used meanwhile.
    """
    row: Row = {
        "name": load.name,
        "seconds": round(load.seconds, 3),
        "texts": load.texts,
        "texts_per_s": round(load.texts_per_s, 1),
        "code_points_per_s": round(load.code_points_per_s),
        "stable": load.stable,
        "windows": list(load.windows),
        "errors": load.errors,
        "offered_per_s": None if load.offered_per_s is None else round(load.offered_per_s, 1),
        "client_cpu_s_per_s": round(load.client_cpu_s, 3),
        "client_late_ms": round(1000 * load.client_late_s, 1),
    }
    for name, share in PERCENTILES.items():
        latency = load.latency_ms(share)
        row[f"{name}_ms"] = None if latency is None else round(latency, 2)
    if raw is not None:
        row["raw_code_points_per_s"] = round(raw.code_points_per_s)
        row["efficiency"] = round(load.code_points_per_s / raw.code_points_per_s, 3)
    if used is not None:
        row["padding"] = round(used.padding, 4)
        # All that the server did meanwhile, warming up included: what the seconds below were spent on.
        row["server_tokens"] = round(used.tokens)
        row["batches"] = round(used.batches)
        row["runner_s"] = round(used.run_s, 2)
        row["server_cpu_s"] = round(used.cpu_s, 2)
        row["server_rss_mib"] = round(used.rss_bytes / 2**20, 1)
    return row


def console(rows: Sequence[Row]) -> str:
    """Rows for people to read."""
    lines = [f"{'load':32}{'texts/s':>9}{'of raw':>8}{'p50 ms':>9}{'p99 ms':>9}{'padding':>9}{'errors':>8}"]
    for row in rows:
        errors = row["errors"]
        assert isinstance(errors, dict)
        efficiency, padding = row.get("efficiency"), row.get("padding")
        lines.append(
            f"{row['name']:32}{row['texts_per_s']:9,.0f}"
            f"{'' if efficiency is None else f'{efficiency:.0%}':>8}"
            f"{'' if row['p50_ms'] is None else row['p50_ms']:>9}"
            f"{'' if row['p99_ms'] is None else row['p99_ms']:>9}"
            f"{'' if padding is None else f'{padding:.0%}':>9}{sum(errors.values()):8,}"
            f"{'' if row['stable'] else '  unstable'}"
        )
    return "\n".join(lines)


def mean(ceilings: Sequence[Ceiling]) -> Ceiling:
    """The mean of several measurements of the ceiling."""
    number = len(ceilings)
    return Ceiling(
        texts_per_s=sum(one.texts_per_s for one in ceilings) / number,
        code_points_per_s=sum(one.code_points_per_s for one in ceilings) / number,
        padding=sum(one.padding for one in ceilings) / number,
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The short hash, with "-dirty" when files that are tracked differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
