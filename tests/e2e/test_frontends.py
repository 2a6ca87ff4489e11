"""--frontends: callers see what one process would show them. Kills: tests/chaos/test_processes.py."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from hanjaserve.server.bundle import write_manifest
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.chaos.conftest import free_port
from tests.support.tiny import convert

from .conftest import stub_for
from .process import ServerProcess
from .test_lifecycle import refused

TEXT = "대한민국의 수도는 서울이다"
CALLERS = 10
"""Connections; that the kernel gives all of them to one of two front-ends happens once in 500 times."""


class Frontends(ServerProcess):
    def __init__(self, bundle: Path, *flags: str) -> None:
        self.metrics_port = free_port()
        metrics = ("--metrics-port", str(self.metrics_port))
        super().__init__(bundle, "--frontends", "2", *metrics, *flags)

    def page(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as page:
            lines = page.read().decode().splitlines()
        return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines if x[0] != "#")}


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A link, as for a reload."""
    folder = tmp_path_factory.mktemp("frontends")
    shutil.copytree(tiny_bundle, folder / "old")
    (folder / "current").symlink_to("old")
    return folder / "current"


@pytest.fixture(scope="module")
def frontends(bundle: Path) -> Iterator[Frontends]:
    with Frontends(bundle, "--max-glossaries", "2", "--log-level", "debug") as running:
        yield running


@pytest.fixture
def stubs(frontends: Frontends) -> Iterator[list[Any]]:
    """Callers with a connection each, and so on either front-end."""
    with ExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]
        yield [
            stub_for(stack.enter_context(grpc.insecure_channel(frontends.address, options)))
            for _ in range(CALLERS)
        ]


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_everybody_is_answered_and_counted_once(frontends: Frontends, stubs: list[Any]) -> None:
    name = 'hanjaserve_requests_total{code="OK",method="/hanjaserve.v1.HanjaService/BatchConvert"}'
    before = frontends.page().get(name, 0)
    for stub in stubs:
        results = stub.BatchConvert(pb.BatchConvertRequest(texts=[TEXT, "", "상수도"])).results
        assert [r.conversion.text for r in results] == [convert(TEXT), "", convert("상수도")]
    page = frontends.page()
    assert page[name] - before == CALLERS
    assert page["hanjaserve_frontends"] == 2
    assert page["hanjaserve_ready"] == 1
    assert page["hanjaserve_queue_seconds_count"] >= CALLERS
    infos = [name for name in page if name.startswith("hanjaserve_model_info")]
    assert len(infos) == 1
    assert page[infos[0]] == 1


def test_info_says_how_many_there_are(stubs: list[Any]) -> None:
    info = stubs[0].GetServerInfo(pb.GetServerInfoRequest())
    assert info.frontends == 2
    assert info.runner.startswith("onnxruntime")
    assert info.ready


def test_stored_glossary_holds_on_all_of_them(stubs: list[Any]) -> None:
    entry = pb.GlossaryEntry(hangul="서울", hanja="首爾", allow_any_reading=True)
    put = pb.PutGlossaryRequest(id="places", glossary=pb.Glossary(entries=[entry]))
    version = stubs[0].PutGlossary(put).info.version
    options = pb.ConvertOptions(glossary_reference=pb.GlossaryReference(id="places", version=version))
    for stub in stubs:
        assert "首爾" in stub.Convert(pb.ConvertRequest(text=TEXT, options=options)).conversion.text
        stored = stub.ListGlossaries(pb.ListGlossariesRequest()).glossaries
        assert [found.id for found in stored] == ["places"]
    stubs[0].PutGlossary(pb.PutGlossaryRequest(id="second", glossary=put.glossary))
    for request, code in (
        (pb.PutGlossaryRequest(id="third", glossary=put.glossary), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (pb.PutGlossaryRequest(id="places", expected_version="x"), grpc.StatusCode.FAILED_PRECONDITION),
        (pb.PutGlossaryRequest(id="a b"), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            stubs[-1].PutGlossary(request)
        assert caught.value.code() is code
    for name in ("places", "second"):
        stubs[-1].DeleteGlossary(pb.DeleteGlossaryRequest(id=name))
    for stub in stubs:
        assert not stub.ListGlossaries(pb.ListGlossariesRequest()).glossaries


def test_reload_changes_all_of_them(frontends: Frontends, stubs: list[Any], bundle: Path) -> None:
    old = stubs[0].GetServerInfo(pb.GetServerInfoRequest()).model_revision
    new = bundle.parent / "new"
    shutil.copytree(bundle, new)
    manifest = json.loads((new / "manifest.json").read_text())
    kept = {k: v for k, v in manifest.items() if k not in ("schema", "revision", "files")}
    write_manifest(new, **{**kept, "context_tokens": 9})
    (bundle.parent / "next").symlink_to("new")
    (bundle.parent / "next").rename(bundle)
    frontends.signal(signal.SIGHUP)
    until(lambda: all(revision(stub) != old for stub in stubs))
    assert {stub.Convert(pb.ConvertRequest(text=TEXT)).conversion.text for stub in stubs} == {convert(TEXT)}
    assert frontends.page()['hanjaserve_reloads_total{result="ok"}'] == 1
    (new / "labels.txt").unlink()
    frontends.signal(signal.SIGHUP)
    until(lambda: frontends.page().get('hanjaserve_reloads_total{result="failed"}') == 1)
    assert {stub.Convert(pb.ConvertRequest(text=TEXT)).conversion.text for stub in stubs} == {convert(TEXT)}


def revision(stub: Any) -> str:
    return str(stub.GetServerInfo(pb.GetServerInfoRequest()).model_revision)


def test_port_is_taken_by_all_of_them_together(frontends: Frontends, tiny_bundle: Path) -> None:
    port = frontends.address.rpartition(":")[2]
    for number in ("0", "2"):
        line = refused("--bundle", str(tiny_bundle), "--port", port, "--frontends", number)
        assert "in use" in line


def test_what_keeps_one_of_them_from_starting_is_one_line(tiny_bundle: Path) -> None:
    flags = ("--bundle", str(tiny_bundle), "--port", "0", "--frontends", "2", "--runner", "tensorrt")
    command = [sys.executable, "-m", "hanjaserve.server", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if line.startswith("hanjaserve: ")]) == 1


def test_log_names_the_processes_and_holds_no_text(frontends: Frontends, stubs: list[Any]) -> None:
    own = pb.Glossary(entries=[pb.GlossaryEntry(hangul="수도", keep=True)])
    stubs[0].PutGlossary(pb.PutGlossaryRequest(id="names", glossary=own))
    for stub in stubs:
        stub.Convert(pb.ConvertRequest(text=TEXT))
    until(lambda: '"PutGlossary"' in "".join(frontends.log))
    lines = [json.loads(line) for line in frontends.log]
    processes = {line.get("process") for line in lines if line["message"] == "call"}
    assert processes <= {"frontend-1", "frontend-2"}
    assert "수도" not in "".join(frontends.log)
