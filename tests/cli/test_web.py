"""`hanjaserve web` as a user runs it, and what it says when it can't."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from hanjaserve.cli import main
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.web.calls import CONTENT_TYPE, SERVICE
from tests.support.tiny import convert

from .conftest import Hanjaserve

TEXT = "대한민국의 수도"


@pytest.mark.parametrize("where", ["target", "local"])
def test_serves_a_page_until_it_is_told_to_end(address: str, tiny_bundle: Path, where: str) -> None:
    given = ["--target", address] if where == "target" else ["--local", "--bundle", str(tiny_bundle)]
    command = [sys.executable, "-m", "hanjaserve.cli.main", "web", "--port", "0", *given]
    environment = {**os.environ, "HANJASERVE_RUNNER": "onnxruntime"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert (f"the server is {address}" in line) == (where == "target")
            url = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert url
            with urllib.request.urlopen(url[0], timeout=10) as page:
                assert b"<title>hanjaserve</title>" in page.read()
            body = pb.ConvertRequest(text=TEXT).SerializeToString()
            call = urllib.request.Request(
                f"{url[0]}{SERVICE}/Convert", data=body, headers={"Content-Type": CONTENT_TYPE}
            )
            with urllib.request.urlopen(call, timeout=10) as answer:
                assert pb.ConvertResponse.FromString(answer.read()).conversion.text == convert(TEXT)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_mistakes_are_one_line(hanjaserve: Hanjaserve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, words in (
            (["--port", str(port)], f"cannot listen on port {port} of 127.0.0.1"),
            (["--port", "70000"], "use a number from 0 to 65535"),
            (["--token-file", "/nowhere"], "cannot read /nowhere"),
            (["--bundle", "/nowhere"], "--bundle needs --local"),
            (["--local", "--bundle", "/nowhere"], "/nowhere"),
        ):
            done = hanjaserve("web", *arguments)
            assert (done.returncode, done.stdout) == (2, b"")
            assert words in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_without_its_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("hanjaserve.web.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert main.main(["web", "--port", "0"]) == 2
    assert capsys.readouterr().err == (
        "hanjaserve web: aiohttp is not installed: pip install 'hanjaserve[web]'\n"
    )
