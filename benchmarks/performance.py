"""Write the tables and plots of docs/performance.md from the committed results: `make performance`.

Prose is written by hand; what stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is written here,
from the newest result of each kind that is not a quick one. `--check` compares instead of writing.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.simulator.__main__ import table as simulator_table
from benchmarks.simulator.summary import Summary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE, PLOTS = ROOT / "docs" / "performance.md", ROOT / "docs" / "plots"
PERF_LOADS = {
    "unary": "64 calls in flight",
    "stream": "64 in flight, ModelStreamInfer",
    "poisson": "Poisson at half of the first",
}
ABSENT = "Not measured yet."

Result = dict[str, Any]
Writer = Callable[[dict[str, Result]], Iterator[str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance", description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page is out of date")
    check = parser.parse_args(argv).check
    results = newest(RESULTS)
    old = PAGE.read_text("utf-8")
    new = filled(old, results)
    if check:
        if new != old:
            print("docs/performance.md does not match the results: run `make performance`", file=sys.stderr)
        return int(new != old)
    PAGE.write_text(new, "utf-8")
    from benchmarks.plots import draw

    PLOTS.mkdir(exist_ok=True)
    draw(results, PLOTS)
    return 0


def newest(folder: Path) -> dict[str, Result]:
    """The newest full result of each kind; names end in their time."""
    found: dict[str, Result] = {}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text("utf-8"))
        if not result.get("quick") and "kind" in result:  # those of benchmarks/gpu have a page of their own
            found[result["kind"]] = {**result, "file": path.name}
    return found


def filled(page: str, results: dict[str, Result]) -> str:
    """The page with every block written anew.

    Raises:
        LookupError: A block has no writer.
    """

    def block(found: re.Match[str]) -> str:
        name = found[1]
        if name not in BLOCKS:
            raise LookupError(f"docs/performance.md has a block {name!r}; known are {', '.join(BLOCKS)}")
        return "\n".join([f"<!-- begin {name} -->", *BLOCKS[name](results), f"<!-- end {name} -->"])

    return re.sub(r"<!-- begin (\S+) -->\n.*?<!-- end \1 -->", block, page, flags=re.DOTALL)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The lines of a table; all columns but the first are numbers."""
    yield f"| {' | '.join(header)} |"
    yield "|---|" + "---:|" * (len(header) - 1)
    for row in rows:
        yield f"| {' | '.join('–' if cell is None else str(cell) for cell in row)} |"


def machine(result: Result) -> Iterator[str]:
    """Where it was measured."""
    environment = result["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items() if version)
    yield f"{environment['cpu']}, {environment['cores']} cores, {environment['system']}, "
    yield f"Python {environment['python']}, {packages}; commit {environment['commit']}, {result['file']}."
    yield f"Texts: {result['mix']['source']} mix, {result['mix']['mean_code_points']} code points on average."


def best(result: Result) -> Iterator[str]:
    """What the server can do at most, against the bare runner."""
    header = ["load", "texts/s", "of raw", "p50 ms", "p99 ms", "padding", "client, cores", "stable"]
    yield from table(
        header,
        [
            [
                row["name"], f"{row['texts_per_s']:.0f}", _share(row["efficiency"]), _ms(row["p50_ms"]),
                _ms(row["p99_ms"]), _share(row["padding"]), f"{row['client_cpu_s_per_s']:.2f}",
                "yes" if row["stable"] else "no",
            ]
            for row in result["best"]
        ],
    )  # fmt: skip


def cost(result: Result) -> Iterator[str]:
    """What a million tokens cost; a token is a syllable, and every text has one more."""
    yield from table(
        ["load", "server CPU s per million syllables", "runner s (wall)", "server memory, MiB"],
        [
            [
                row["name"],
                f"{1e6 * row['server_cpu_s'] / row['server_tokens']:.1f}",
                f"{1e6 * row['runner_s'] / row['server_tokens']:.1f}",
                f"{row['server_rss_mib']:.0f}",
            ]
            for row in result["best"]
        ],
    )


def sweep(result: Result) -> Iterator[str]:
    """Latency against offered load."""
    search = result["search"]
    yield f"The highest rate with p99 within {search['p99_ms']:g} ms: **{search['rate_per_s']:.0f} calls/s**."
    yield ""
    yield from table(
        [
            "offered calls/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "p99 of each run", "p99/p50",
            "padding", "errors",
        ],
        [
            [
                f"{row['offered_per_s']:.0f}", f"{row['texts_per_s']:.0f}", _ms(row["p50_ms"]),
                _ms(row["p90_ms"]), _ms(row["p99_ms"]),
                ", ".join(_ms(one) or "–" for one in row["each_p99_ms"]),
                f"{row['p99_ms'] / row['p50_ms']:.1f}", _share(row["padding"]), sum(row["errors"].values()),
            ]
            for row in result["sweep"]
        ],
    )  # fmt: skip
    yield ""
    yield "![Latency against offered load](plots/latency.svg)"


def other_sweeps(result: Result) -> Iterator[str]:
    """Latency of batches and streams against offered load."""
    yield from table(
        ["", "offered texts/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "errors"],
        [
            [
                kind, f"{row['offered_per_s'] * size:.0f}", f"{row['texts_per_s']:.0f}", _ms(row["p50_ms"]),
                _ms(row["p90_ms"]), _ms(row["p99_ms"]), sum(row["errors"].values()),
            ]
            for row in result["other_sweeps"]
            for kind in [row["name"].partition(",")[0]]
            for size in [int(kind.rpartition(" ")[2]) if kind.startswith("batches") else 1]
        ],
    )  # fmt: skip


def stages(result: Result) -> Iterator[str]:
    """What the front-end costs."""
    spans = result["us_per_text_with_spans"]
    rows = [(name, cost, spans.get(name, cost)) for name, cost in result["us_per_text"].items()]
    yield from table(["stage", "µs per text", "with spans"], rows)


def soak(result: Result) -> Iterator[str]:
    """Memory over many requests."""
    at = ", ".join(f"{mib:.0f}" for _, mib in result["rss_mib"])
    growth = f"**{result['growth_mib']:.1f} MiB**"
    yield f"Growth after the first tenth of {result['requests']:,} requests: {growth}"
    yield f"(resident MiB at each tenth: {at})."


def beside(result: Result) -> Iterator[str]:
    """Interactive calls while a stream saturates the server."""
    rows = result["beside_bulk"]
    names = {"alone": "interactive calls alone", "beside": "the same beside the stream", "bulk": "the stream"}
    yield from table(
        ["", "texts/s", "p50 ms", "p99 ms"],
        [
            [title, f"{rows[name]['texts_per_s']:.0f}", _ms(rows[name]["p50_ms"]), _ms(rows[name]["p99_ms"])]
            for name, title in names.items()
        ],
    )


def floods(result: Result) -> Iterator[str]:
    """One caller's calls while another one floods the server."""
    alone = goals.alone_p99_ms(result) or float("nan")
    yield from table(
        ["", "p50 ms", "p99 ms", "p99 / alone", "errors", "how the flood's calls ended"],
        [
            [
                row["name"], _ms(row["p50_ms"]), _ms(row["p99_ms"]), f"{row['p99_ms'] / alone:.1f}",
                sum(row["errors"].values()),
                ", ".join(f"{number:,} {end}" for end, number in sorted(row["flood"].items())),
            ]
            for row in result["beside_floods"]
        ],
    )  # fmt: skip


def huggingface(result: Result) -> Iterator[str]:
    """The reference's usage against ours."""
    found = result["texts_per_s"]
    base = found["pipeline"]
    yield from table(
        ["", "verses/s, median", "each round", "against the pipeline"],
        [
            [name, rate, ", ".join(map(str, result["rounds"][name])), f"{rate / base:.1f}"]
            for name, rate in found.items()
        ],
    )


def peers(result: Result) -> Iterator[str]:
    """All servers under the same load."""
    ours = result["peers"]["hanjaserve"]
    rows = []
    for row in result["peers"].values():
        if row["texts_per_s"] is None:
            rows.append([row["title"], f"absent: {row['absent']}", None, None, None])
            continue
        times = ours["rate_per_s"] / row["rate_per_s"] if row["rate_per_s"] else None
        each = ", ".join(f"{one['rate_per_s']:.0f}" for one in row["rounds"])
        if "absent" in row:
            each += f"; then absent: {row['absent']}"
        rows.append(
            [
                row["title"], f"{row['texts_per_s']:.0f}", f"{row['rate_per_s']:.0f}", each,
                "–" if times is None else f"{times:.1f}",
            ]
        )  # fmt: skip
    limit = f"calls/s at p99 ≤ {result['p99_ms']:g} ms"
    yield from table(["server", "texts/s, 64 in flight", limit, "each round", "ours / theirs"], rows)
    yield ""
    yield "![Servers under the same load](plots/peers.svg)"


def perf(result: Result) -> Iterator[str]:
    """What perf_analyzer measured: the median of the rounds."""
    rows = []
    for title, rounds in result["servers"].items():
        for load, name in PERF_LOADS.items():
            of = [one[load] for one in rounds]
            figures = [_median(of, figure) for figure in ("texts_per_s", "p50_ms", "p99_ms")]
            rows.append([f"{title}, {name}", f"{figures[0]:.0f}", *map(_ms, figures[1:])])
    yield from table(["", "texts/s", "p50 ms", "p99 ms"], rows)


def simulator(result: Result) -> Iterator[str]:
    """Scheduling policies on the same traces."""
    for device, rows in result["devices"].items():
        yield f"On {device}:"
        yield ""
        summaries = []
        for row in rows:
            figures = {name: value for name, value in row.items() if name not in ("arrivals", "policy")}
            summaries.append((row["arrivals"], row["policy"], Summary(**figures)))
        yield simulator_table(summaries)
        yield ""


def frontends(result: Result) -> Iterator[str]:
    """Throughput against front-end processes: the median of the rounds."""
    runner = result["runner"]
    yield (
        f"Null runner: {runner['batch_us']:g} µs a batch, {runner['token_us']:g} µs a token. Load from "
        f"{result['clients']} process(es) on {result['environment']['cores']} cores."
    )
    yield ""
    header = ["load", "front-ends", "texts/s", "p99 ms", "server, cores", "load, cores", "runner busy"]
    groups: dict[tuple[str, int], list[Result]] = {}
    for row in result["rows"]:
        groups.setdefault((row["name"], row["frontends"]), []).append(row)
    yield from table(
        header,
        [
            [
                name, number or "one process", f"{_median(rows, 'texts_per_s'):.0f}",
                _ms(_median(rows, "p99_ms")), f"{_median(rows, 'server_cores'):.2f}",
                f"{_median(rows, 'client_cores'):.2f}", _share(_median(rows, "runner_busy")),
            ]
            for (name, number), rows in sorted(groups.items())
        ],
    )  # fmt: skip


def _median(rows: Sequence[Result], field: str) -> float:
    return statistics.median(row[field] for row in rows)


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def goals_table(results: dict[str, Result]) -> Iterator[str]:
    """What was to be reached, and what was."""
    yield from table(["goal", "wanted", "measured", "met"], list(goals.rows(results)))


def _of(kind: str, write: Callable[[Result], Iterator[str]]) -> Writer:
    """Write from one kind of result, if there is one."""
    return lambda results: write(results[kind]) if kind in results else iter([ABSENT])


BLOCKS: dict[str, Writer] = {
    "goals": goals_table,
    "machine": _of("serving", machine),
    "best": _of("serving", best),
    "cost": _of("serving", cost),
    "sweep": _of("serving", sweep),
    "other-sweeps": _of("serving", other_sweeps),
    "beside": _of("serving", beside),
    "floods": _of("serving", floods),
    "stages": _of("stages", stages),
    "frontends": _of("frontends", frontends),
    "soak": _of("soak", soak),
    "huggingface": _of("huggingface", huggingface),
    "peers": _of("peers", peers),
    "perf": _of("perf", perf),
    "simulator": _of("simulator", simulator),
}

if __name__ == "__main__":
    sys.exit(main())
