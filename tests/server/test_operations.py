"""What docs/operations.md, SECURITY.md and deploy/ name is there: commands, flags, variables, files, metrics.

Prose promises more than a test can read; this one sees that nothing named was renamed or taken away.
"""

import argparse
import fnmatch
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import Metric

from hanjaserve.cli import access
from hanjaserve.cli.main import commands
from hanjaserve.server.config import PREFIX, ServerConfig, from_namespace
from hanjaserve.server.metrics import Facts, Metrics
from hanjaserve.server.processes.census import Census

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
# Of other programs: pytest, ln, kill, HAProxy and so on are not looked at.
PROGRAM = ".venv/bin/hanjaserve"

pytestmark = pytest.mark.skipif(not OPERATIONS.exists(), reason="an installed copy has no documents")


def shell_lines() -> Iterator[str]:
    """The commands of the document, each in one line."""
    text = OPERATIONS.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.replace("$i", "1")


def own_commands() -> Iterator[list[str]]:
    """The arguments of every call of `hanjaserve`."""
    for line in shell_lines():
        words = shlex.split(line, comments=True)
        for start in (at for at, word in enumerate(words) if word == PROGRAM):
            own = []
            for word in words[start + 1 :]:
                if re.match(r"[|&;]|\d?>", word):
                    break
                own.append(word)
            yield own


def parser_of(name: str) -> argparse.ArgumentParser:
    command = commands()[name]
    parser = argparse.ArgumentParser(prog=name)
    getattr(importlib.import_module(command.module), command.add_arguments)(parser)
    return parser


async def families() -> list[Metric]:
    """What a server shows before its first call, that with front-ends included."""
    own = Metrics(Facts).registry
    return [*own.collect(), *Census(lambda: ())._own.registry.collect()]


def test_every_command_can_be_parsed() -> None:
    found = list(own_commands())
    assert {name for name, *_ in found} >= {"doctor", "token", "serve", "convert", "top"}
    for name, *arguments in found:
        namespace = parser_of(name).parse_args(arguments)
        if name in ("serve", "doctor"):
            from_namespace(namespace, {})


@pytest.mark.parametrize("document", [OPERATIONS, ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_every_flag_variable_and_file_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    flags = {
        flag
        for name in ("serve", "token", "convert", "top")
        for action in parser_of(name)._actions
        for flag in action.option_strings
    }
    prose = " ".join(re.findall(r"`([^`\n]+)`", text))
    for flag in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*\*?", prose):
        assert fnmatch.filter(flags, flag), flag
    parts = Path(access.__file__).read_text(encoding="utf-8")
    for variable in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", text):
        assert variable.removeprefix(PREFIX).lower() in ServerConfig.__dataclass_fields__ or variable in parts
    for path in re.findall(r"\b(?:deploy|docs|tests|server|protos)/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path


async def test_every_metric_exists() -> None:
    ends = ("", "_total", "_sum", "_count", "_bucket")
    known = {family.name + end for family in await families() for end in ends}
    files = [OPERATIONS, ALERTS, *(ROOT / "deploy").rglob("*.json"), *(ROOT / "deploy").rglob("*.yaml")]
    for file in files:
        asked = set(re.findall(r"\b(?:hanjaserve|process)_[a-z_]+\b", file.read_text(encoding="utf-8")))
        assert asked <= known, (file, asked - known)


async def test_what_alarms_wait_for_is_0_from_the_start() -> None:
    """Prometheus sees no increase in a series that begins with 1: the first fault would go unnoticed."""
    shown = {sample.name: sample.value for family in await families() for sample in family.samples}
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    waited_for = re.findall(r"increase\((\w+)", " ".join(rule["expr"] for rule in group["rules"]))
    assert len(waited_for) == 3
    assert {name: shown.get(name) for name in waited_for} == dict.fromkeys(waited_for, 0.0)
