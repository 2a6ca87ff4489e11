"""What becomes of the supervisor when it can't do its work; the rest is tested with real processes."""

import asyncio
from pathlib import Path

import pytest

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.processes import supervisor


async def test_machine_that_starts_no_processes(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(supervisor, "Child", refuse)
    config = ServerConfig(port=0, frontends=2, bundle=str(tiny_bundle))
    with pytest.raises(RuntimeFault, match="the supervisor failed"):
        await asyncio.wait_for(supervisor.supervise(config, (), lambda *_: ""), 10)
    assert "no more processes" in caplog.text
