"""Three servers behind HAProxy with the configuration of deploy/: one is killed under load, nothing is lost.

TLS holds on both sides of HAProxy. Retries of the client count as the client's own; what its user sees is
that every text is converted.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hanjaserve.client import RetryPolicy, SyncClient, Unavailable, tls
from tests.support.certificates import Authority

from .conftest import CONVERTED, TEXT, Patient, free_port, until

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
CALLERS = 3

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed (apt install haproxy)")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def servers(tiny_bundle: Path, tmp_path: Path, authority: Authority) -> Iterator[list[Patient]]:
    pair = authority.issue("server")
    flags = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    with ExitStack() as stack:
        yield [stack.enter_context(Patient(tiny_bundle, tmp_path, *flags)) for _ in range(3)]


@pytest.fixture
def target(servers: list[Patient], tmp_path: Path, authority: Authority) -> Iterator[str]:
    site, port = authority.issue("site").cert, free_port()
    env = {**os.environ, "HAPROXY_LISTEN": f"127.0.0.1:{port}", "HAPROXY_CERT": str(site)}
    env["SERVER_CA"] = str(authority.path)
    for number, server in enumerate(servers, start=1):
        env |= {f"SERVER_{number}": server.address, f"METRICS_{number}": str(server.metrics_port)}
    with (tmp_path / "haproxy.log").open("w") as log:
        process = subprocess.Popen([str(HAPROXY), "-db", "-f", str(CONFIGURATION)], env=env, stderr=log)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(10)


def test_one_of_three_is_killed_under_load(servers: list[Patient], target: str, authority: Authority) -> None:
    answers: list[str] = []
    failures: list[Exception] = []
    over = threading.Event()

    def caller() -> None:
        policy = RetryPolicy(max_attempts=10, initial_delay_s=0.05)
        with SyncClient(target, credentials=tls(ca=authority.path), retry=policy) as client:
            while not over.is_set():
                try:
                    answers.append(client.convert(TEXT).text)
                except Exception as error:
                    failures.append(error)

    with SyncClient(target, credentials=tls(ca=authority.path)) as client:
        try:
            client.wait_ready(20)
        except Unavailable as error:
            raise AssertionError("HAProxy found no server that is ready") from error
    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        # Calls, not connections, are spread: everybody gets some.
        until(lambda: all(served(server) > 10 for server in servers))
        servers[0].process.kill()
        seen = len(answers)
        until(lambda: len(answers) > seen + 100 or bool(failures))
        servers[1].signal()  # and another one ends in peace
        assert servers[1].wait(30) == 0
        seen = len(answers)
        until(lambda: len(answers) > seen + 100 or bool(failures))
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    assert set(answers) == {CONVERTED}


def served(server: Patient) -> float:
    return server.metrics().get("hanjaserve_requests_total OK /hanjaserve.v1.HanjaService/Convert", 0)
