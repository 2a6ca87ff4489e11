"""What a check leaves behind: gpu-<device>.json, a table for people, and whether it passed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = 1
RESULTS = Path(__file__).parents[1] / "results"
Row = Mapping[str, Any]


def file_name(device: str) -> str:
    """The name of the result of a device.

    Example:
        >>> file_name("NVIDIA GeForce RTX 4090")
        'gpu-nvidia-geforce-rtx-4090.json'
    """
    return f"gpu-{re.sub('[^a-z0-9]+', '-', device.lower()).strip('-')}.json"


def verdict(subjects: Sequence[Row], flavour: str) -> tuple[bool, list[str]]:
    """Whether the check passed, and every reason why not."""
    reasons = []
    for subject in subjects:
        name = subject["name"]
        first = subject["contenders"][0]
        if "failed" in first:
            reasons.append(f"{name}: {first['name']} does not run: {first['failed']}")
        for contender in subject["contenders"]:
            found = contender.get("parity")
            if found is not None and not found["passed"]:
                reasons.append(
                    f"{name}: {contender['name']} agrees on {found['agreement']:.4%}, largest margin of a "
                    f"difference {found['largest_margin']:.4f}"
                )
            if "failed_self_test" in contender:
                reasons.append(f"{name}: {contender['name']}: {contender['failed_self_test']}")
    if not subjects:
        reasons.append(f"nothing was measured with {flavour}")
    return not reasons, reasons


def table(subjects: Sequence[Row]) -> str:
    """Speeds for people to read."""
    lines = [f"{'':36}{'device':>14}{'runner':>14}{'of matrix':>10}{'p50 ms':>9}{'p99 ms':>9}"]
    for subject in subjects:
        lines.append(subject["name"])
        lines += [f"  {contender['name']:34}{_cells(contender)}" for contender in subject["contenders"]]
        if server := subject.get("server"):
            lines.append(f"  {'through gRPC: ' + server.get('failed', ''):34}{_server(server)}")
    return "\n".join(lines)


def _cells(row: Row) -> str:
    if "failed" in row:
        return f"  {row['failed']}"
    share = row.get("matrix_share")
    delay = row["latency"]
    return (
        f"{_rate(row.get('device_tokens_per_s'))}{_rate(row['runner_tokens_per_s'])}"
        f"{'' if share is None else f'{share:.0%}':>10}{delay['p50_ms']:9.2f}{delay['p99_ms']:9.2f}"
    )


def _server(row: Row) -> str:
    return (
        ""
        if "failed" in row
        else f"{row['texts_per_s']:,.0f} texts/s, {row['code_points_per_s']:,.0f} chars/s"
    )


def _rate(tokens_per_s: float | None) -> str:
    return f"{'':14}" if tokens_per_s is None else f"{tokens_per_s:12,.0f}/s"
