"""What is made of the words of perf_analyzer; needs the `bench` extra."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from benchmarks.peers.environments import Absent
from benchmarks.peers.perf import Tool

SCRIPT = """#!{python}
import sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if flags.get("-m") == "gone":
    print("error: no such model"); sys.exit(1)
if "-f" in flags:
    assert flags["--measurement-interval"] == "1500", flags
    header = "Concurrency,Inferences/Second,p50 latency,p99 latency"
    open(flags["-f"], "w").write(header + "\\n64,123.45,1500,20250\\n")
"""


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    program = tmp_path / "bin" / "perf_analyzer"
    program.parent.mkdir()
    program.write_text(SCRIPT.format(python=sys.executable))
    program.chmod(0o755)
    return Tool(program.with_name("python"))


def test_figures_are_those_of_its_table(tool: Tool, tmp_path: Path) -> None:
    found = tool.measure(1, "model", tmp_path / "texts.json", 1.5)
    assert found == {"texts_per_s": 123.5, "p50_ms": 1.5, "p99_ms": 20.25}


def test_what_it_complains_of_is_told(tool: Tool, tmp_path: Path) -> None:
    with pytest.raises(Absent, match="no such model"):
        tool.measure(1, "gone", tmp_path / "texts.json", 1.5)
