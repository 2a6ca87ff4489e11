"""The plots of docs/performance.md, as SVG: small, and the same bytes for the same results."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

STYLE = {"svg.hashsalt": "hanjaserve", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False}
OURS, THEIRS = "#1f6f8b", "#b0b7bd"


def draw(results: dict[str, dict[str, Any]], folder: Path) -> None:
    """Draw what there are results for."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        if "serving" in results:
            _latency(results["serving"], folder / "latency.svg")
        if "peers" in results:
            _peers(results["peers"], folder / "peers.svg")


def _latency(result: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 3))
    offered = [row["offered_per_s"] for row in result["sweep"]]
    for name in ("p50", "p90", "p99"):
        latencies = [row[f"{name}_ms"] for row in result["sweep"]]
        axes.plot(offered, latencies, marker="o", markersize=3, label=name)
    axes.axhline(result["search"]["p99_ms"], color=THEIRS, linewidth=0.8, linestyle="--")
    axes.set(xlabel="offered calls per second (Poisson)", ylabel="latency, ms", ylim=(0, None))
    axes.legend(frameon=False)
    _save(figure, path)


def _peers(result: dict[str, Any], path: Path) -> None:
    rows = [row for row in result["peers"].values() if row["texts_per_s"] is not None][::-1]
    figure, axes = plt.subplots(figsize=(6, 0.4 * len(rows) + 0.8))
    colors = [OURS if row["title"] == "hanjaserve" else THEIRS for row in rows]
    bars = axes.barh([row["title"] for row in rows], [row["rate_per_s"] for row in rows], color=colors)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlabel(f"calls per second with p99 within {result['p99_ms']:g} ms")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
