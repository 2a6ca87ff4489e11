"""The driver of other servers; needs the `bench` extra."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from benchmarks.peers import environments, run, targets
from benchmarks.peers.environments import Absent
from benchmarks.peers.registry import CANDIDATES, OURS, Candidate

SERVER = """
import http.server, json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        answer = json.dumps({"text": text + str(child.pid)}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(answer)))
        self.end_headers(); self.wfile.write(answer)
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PEER_PORT"])), Handler).serve_forever()
"""


def candidate(code: str) -> Candidate:
    return Candidate(
        name=OURS,  # runs with this interpreter
        title="a server",
        connect=partial(targets.http, path="/"),
        command=lambda python, port: [sys.executable, "-c", code],
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at processes through /proc")
async def test_server_is_served_and_ended_with_all_of_its_processes() -> None:
    async with run.served(candidate(SERVER)) as peer:
        child = int((await peer.answer("x"))[1:])
        assert alive(child)
        with pytest.raises(Absent, match="converts differently"):
            await run.check(peer, ["x"], {"x": "y"})
    async with asyncio.timeout(10):
        while alive(child):  # noqa: ASYNC110 - a process that is no child of ours
            await asyncio.sleep(0.05)


async def test_server_that_does_not_start_is_absent_and_says_why() -> None:
    with pytest.raises(Absent, match="no such model"):
        async with run.served(candidate("import sys; sys.exit('no such model')")):
            pass


def test_peer_that_cannot_be_installed_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "HERE", tmp_path)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "requirements.txt").write_text("")
    (tmp_path / "model.txt").write_text("not a requirement !\n")
    with pytest.raises(Absent, match="it can't be installed: ERROR: Invalid requirement"):
        environments.python_of("odd")


def test_unknown_peer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--only", "fastapi,nonsense"]) == 2
    assert "unknown peer 'nonsense': use hanjaserve, fastapi" in capsys.readouterr().err


def test_every_peer_has_its_settings_and_requirements() -> None:
    for one in CANDIDATES:
        if one.name != OURS:
            folder = environments.HERE / one.name
            assert "==" in (folder / "requirements.txt").read_text()
            assert (folder / "serve.py").exists()
