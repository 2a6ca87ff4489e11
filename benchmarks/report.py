"""What a run leaves behind: a table for people, JSON with machine and commit for comparison."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.load import Load
from benchmarks.raw import Ceiling

PACKAGES = ("hanjaserve", "grpcio", "protobuf", "numpy", "openvino", "onnxruntime", "uvloop")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def environment(packages: Sequence[str] = ()) -> dict[str, object]:
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


def load_row(load: Load, ceiling: Ceiling) -> dict[str, object]:
    """One load as JSON."""
    row: dict[str, object] = {
        "name": load.name,
        "seconds": round(load.seconds, 3),
        "texts": load.texts,
        "texts_per_s": round(load.texts_per_s, 1),
        "code_points_per_s": round(load.code_points / load.seconds),
        "efficiency": round(load.code_points / load.seconds / ceiling.code_points_per_s, 3),
        "errors": load.errors,
        "offered_per_s": load.offered_per_s,
    }
    for name, share in PERCENTILES.items():
        latency = load.latency_ms(share)
        row[f"latency_{name}_ms"] = None if latency is None else round(latency, 2)
    return row


def ceiling_row(ceiling: Ceiling) -> dict[str, object]:
    """The ceiling as JSON."""
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(ceiling).items()
    }


def table(loads: Sequence[Load], ceiling: Ceiling) -> str:
    """The loads for people to read."""
    rows = [f"{'load':28}{'texts/s':>9}{'chars/s':>10}{'of raw':>8}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}"]
    for load in loads:
        per_s = load.code_points / load.seconds
        share = per_s / ceiling.code_points_per_s
        rows.append(
            f"{load.name:28}{load.texts_per_s:9,.0f}{per_s:10,.0f}{share:8.0%}"
            f"{_ms(load.latency_ms(0.5))}{_ms(load.latency_ms(0.99))}{sum(load.errors.values()):8,}"
        )
    name = f"raw runner ({ceiling.runner})"
    rows.append(f"{name:28}{ceiling.texts_per_s:9,.0f}{ceiling.code_points_per_s:10,.0f}{1:8.0%}")
    return "\n".join(rows)


def _ms(latency: float | None) -> str:
    return f"{'':9}" if latency is None else f"{latency:9.1f}"


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
