"""What deploy/ asks of the server is there: flags, paths, ports, users."""

import re
from pathlib import Path

import pytest
import yaml

from hanjaserve.server.config import ServerConfig

DEPLOY = Path(__file__).parents[2] / "deploy"

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
