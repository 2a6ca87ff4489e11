"""What needs no process of its own; the rest of app.py is tested in tests/e2e."""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hanjaserve.server import app, front
from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig, add_arguments
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.gate import Gate
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import Listener, check_bindable
from hanjaserve.server.service import Backend, HanjaService
from hanjaserve.server.signals import stop_on_signals

from .fakes import FakeConverter

BACKEND = Backend(
    converter=FakeConverter(),  # type: ignore[arg-type]
    model="tiny",
    revision="abc",
    scheme="syllable",
    styles=("modern",),
    runner="onnxruntime",
    ladder=(),
)


def test_banner_shows_model_runner_address_and_a_call_to_paste() -> None:
    lines = app.banner(ServerConfig(), BACKEND, 50051).splitlines()
    assert lines[1].split() == ["model", "tiny", "abc", "(syllable)"]
    assert lines[2].split() == ["runner", "onnxruntime"]
    assert lines[3].split() == ["serving", "127.0.0.1:50051"]
    assert lines[4].startswith("  try     ")
    assert lines[4].endswith('hanjaserve convert "대한민국의 수도는 서울이다"')


def test_banner_shows_a_command_that_the_shell_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    for found, command in ((None, ".venv/bin/hanjaserve"), ("/usr/bin/hanjaserve", "hanjaserve")):
        monkeypatch.setattr(shutil, "which", lambda name, found=found: found)
        assert app.banner(ServerConfig(), BACKEND, 50051).splitlines()[-1].startswith(f"  try     {command} ")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")
    assert "try     opt/env/bin/hanjaserve convert" in app.banner(ServerConfig(), BACKEND, 50051)


def test_banner_names_the_target_and_what_was_skipped() -> None:
    backend = replace(BACKEND, ladder=("tensorrt: no device",))
    text = app.banner(ServerConfig(host="::1", port=0), backend, 4711)
    assert "skipped tensorrt: no device" in text
    assert "convert --target [::1]:4711 " in text


def test_configuration_that_is_wrong_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.main(["--port", "70000"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hanjaserve: port is 70000: use a number from 0 to 65535\n"


def test_arguments_can_be_mounted_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    serve = parser.add_subparsers(dest="command").add_parser("serve")
    add_arguments(serve)
    assert app.run(parser.parse_args(["serve", "--runner", "abacus"])) == 2
    assert "abacus" in capsys.readouterr().err


def test_taken_port_and_unknown_host_are_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: it is in use; stop"):
            check_bindable("127.0.0.1", port)
    with pytest.raises(ConfigError, match="'no such host'"):
        check_bindable("no such host", 0)


async def test_first_signal_stops_and_second_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    stop = stop_on_signals()
    try:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
        assert exits == []
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.05)
        assert exits == [128 + signal.SIGINT]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_drain_gives_up_after_the_grace_period(caplog: pytest.LogCaptureFixture) -> None:
    config = ServerConfig(port=0, grace_s=0.1)
    gate = Gate(max_concurrent_rpcs=1)
    gate.open()

    class Context:
        def time_remaining(self) -> Any:
            return None

    guard = Guard(callers=Callers(max_calls=1))
    async with Listener(config, HanjaService(config, gate), guard) as listener, gate.call(Context(), "Hang"):
        await asyncio.wait_for(front.drain(config, gate, listener), 10)
    assert "calls did not finish within the grace period" in caplog.text
