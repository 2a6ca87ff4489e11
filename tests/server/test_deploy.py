"""What deploy/ asks of the server is there: flags, paths, ports, users."""

import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from hanjaserve.server.config import ServerConfig

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "hanjaserve.service"
SYSTEMD = shutil.which("systemd-analyze")
NOT_STARTED = 2
"""The exit code of a server that can't start as it was told to."""

pytestmark = pytest.mark.skipif(not DEPLOY.exists(), reason="an installed copy has no deploy folder")


def test_kubernetes_uses_flags_and_ports_that_exist() -> None:
    text = (DEPLOY / "kubernetes" / "hanjaserve.yaml").read_text()
    documents = {document["kind"]: document for document in yaml.safe_load_all(text)}
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = dict(argument.removeprefix("--").split("=") for argument in container["args"])
    names = {name.replace("-", "_") for name in options}
    assert names <= ServerConfig.__dataclass_fields__.keys()
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["terminationGracePeriodSeconds"] > float(options["grace-s"]) + 5
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    (metric,) = documents["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "hanjaserve_queued_seconds"


def test_container_is_not_root_and_sets_variables_that_exist() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    variables = {name.lower() for name in re.findall(r"HANJASERVE_(\w+)=", text)}
    assert variables
    assert variables <= ServerConfig.__dataclass_fields__.keys()
    assert re.search(r"^USER 65532", text, re.MULTILINE)
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert all((DEPLOY.parent / folder).is_dir() for folder in copied)
    packages = (DEPLOY.parent / "pyproject.toml").read_text()
    assert {f"{folder}/hanjaserve" for folder in copied} == set(re.findall(r'"(\w+/hanjaserve)"', packages))


@pytest.fixture
def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_unit_stops_after_the_grace_period_and_sets_variables_that_exist(unit: ConfigParser) -> None:
    service = unit["Service"]
    assert shlex.split(service["ExecStart"])[1:] == ["serve"]
    variables = dict(pair.split("=") for pair in shlex.split(service["Environment"]))
    ours = {name.removeprefix("HANJASERVE_").lower() for name in variables if name.startswith("HANJASERVE_")}
    assert ours <= ServerConfig.__dataclass_fields__.keys()
    assert float(service["TimeoutStopSec"]) > float(variables["HANJASERVE_GRACE_S"]) + 5
    assert service["Restart"] == "on-failure"
    assert f"{NOT_STARTED}" in service["RestartPreventExitStatus"].split()
    # The server tells systemd nothing; with "notify" it would be killed for that.
    assert service["Type"] == "exec"
    # What is cached is cached where the unit may write.
    assert variables["HANJASERVE_PLAN_CACHE"] == f"/var/cache/{service['CacheDirectory']}"


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed (apt install systemd)")
def test_systemd_finds_the_unit_right_and_not_exposed(tmp_path: Path) -> None:
    copy = tmp_path / "hanjaserve.service"
    text = UNIT.read_text(encoding="utf-8")
    copy.write_text(text.replace("/opt/hanjaserve/bin/hanjaserve", sys.executable))
    for arguments in (["verify"], ["security", "--offline=yes", "--threshold=20"]):
        command = [str(SYSTEMD), "--no-pager", *arguments, str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
