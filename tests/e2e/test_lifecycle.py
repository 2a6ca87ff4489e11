import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import stub_for
from .process import ServerProcess

TEXT = "대한민국의 수도는 서울이다. "


def refused(*flags: str) -> str:
    """The one line with which a server refuses to start."""
    done = subprocess.run(
        [sys.executable, "-m", "hanjaserve.server", *flags],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def test_missing_bundle(tmp_path: Path) -> None:
    line = refused("--bundle", str(tmp_path / "nowhere"))
    assert str(tmp_path / "nowhere") in line


@pytest.mark.parametrize("name", ["manifest.json", "labels.txt"])
@pytest.mark.parametrize("damage", ["remove", "append", "truncate"])
def test_damaged_bundle(copy: Path, name: str, damage: str) -> None:
    victim = copy / name
    if damage == "remove":
        victim.unlink()
    elif damage == "append":
        victim.write_bytes(victim.read_bytes() + b"x")
    else:
        victim.write_bytes(victim.read_bytes()[:-3])
    assert name in refused("--bundle", str(copy))


def test_port_in_use(tiny_bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused("--bundle", str(tiny_bundle), "--port", port)
    assert port in line
    assert "in use" in line


def test_bad_option() -> None:
    assert "--port is 'x'" in refused("--port", "x")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_stops_at_once(tiny_bundle: Path, number: int) -> None:
    with ServerProcess(tiny_bundle) as server:
        started = time.monotonic()
        server.signal(number)
        assert server.wait() == 0
        assert time.monotonic() - started < 10
    assert [json.loads(line)["message"] for line in server.log][-1] == "stopped"


def test_watcher_of_the_health_sees_the_stop_and_does_not_hold_it_up(tiny_bundle: Path) -> None:
    with ServerProcess(tiny_bundle) as server, grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        server.signal()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert server.wait(10) == 0


def test_calls_under_way_finish_on_sigterm(tiny_bundle: Path) -> None:
    """Four kinds of callers at full load; whoever was accepted gets an answer."""
    finished: list[int] = []
    refusals: list[grpc.StatusCode] = []
    begun = threading.Barrier(9, timeout=30)

    def call_until_refused(stub: Any) -> None:
        waiting = True
        while True:
            try:
                response = stub.BatchConvert(pb.BatchConvertRequest(texts=[TEXT * 20] * 16))
            except grpc.RpcError as error:
                refusals.append(error.code())
                return
            assert all(len(r.conversion.text) == len(TEXT) * 20 for r in response.results)
            finished.append(len(response.results))
            if waiting:
                begun.wait()
                waiting = False

    with ServerProcess(tiny_bundle) as server, grpc.insecure_channel(server.address) as channel:
        stub = stub_for(channel)
        callers = [threading.Thread(target=call_until_refused, args=(stub,)) for _ in range(8)]
        for caller in callers:
            caller.start()
        begun.wait()
        server.signal()
        for caller in callers:
            caller.join(30)
        assert server.wait() == 0
    assert len(refusals) == 8
    assert set(refusals) == {grpc.StatusCode.UNAVAILABLE}
    assert len(finished) >= 8


def test_stream_under_way_finishes_on_sigterm(tiny_bundle: Path) -> None:
    """A stream that ends by itself within the grace period loses nothing."""
    with ServerProcess(tiny_bundle) as server, grpc.insecure_channel(server.address) as channel:

        def requests() -> Iterator[pb.StreamConvertRequest]:
            for i in range(20):
                item = pb.StreamItem(id=i, text=TEXT)
                yield pb.StreamConvertRequest(items=pb.StreamItems(items=[item]))
                if i == 5:
                    server.signal()
                time.sleep(0.02)

        results = [r for m in stub_for(channel).StreamConvert(requests()) for r in m.results]
        assert [r.id for r in results] == list(range(20))
        assert server.wait() == 0


def test_endless_stream_is_ended_within_the_grace_period(tiny_bundle: Path) -> None:
    with (
        ServerProcess(tiny_bundle, "--grace-s", "1") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        over = threading.Event()

        def requests() -> Iterator[pb.StreamConvertRequest]:
            item = pb.StreamItem(id=7, text=TEXT)
            yield pb.StreamConvertRequest(items=pb.StreamItems(items=[item]))
            over.wait(30)

        call = stub_for(channel).StreamConvert(requests())
        assert next(call).results[0].id == 7
        server.signal()
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
        over.set()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 0


def test_second_signal_exits_at_once(tiny_bundle: Path) -> None:
    with (
        ServerProcess(tiny_bundle, "--grace-s", "60") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        over = threading.Event()

        def requests() -> Iterator[pb.StreamConvertRequest]:
            item = pb.StreamItem(id=7, text=TEXT)
            yield pb.StreamConvertRequest(items=pb.StreamItems(items=[item]))
            over.wait(30)

        call = stub_for(channel).StreamConvert(requests())
        next(call)
        server.signal()
        time.sleep(0.3)
        server.signal()
        assert server.wait(10) == 128 + signal.SIGTERM
        over.set()


def test_variables_configure_it(tiny_bundle: Path) -> None:
    with (
        ServerProcess(tiny_bundle, env={"HANJASERVE_MAX_BATCH_ITEMS": "3"}) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        info = stub_for(channel).GetServerInfo(pb.GetServerInfoRequest())
        assert info.limits.max_batch_items == 3


def test_log_is_json_and_holds_no_text(tiny_bundle: Path) -> None:
    with (
        ServerProcess(tiny_bundle, "--log-level", "debug") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub_for(channel).Convert(pb.ConvertRequest(text=TEXT))
        server.signal()
        assert server.wait() == 0
    lines = [json.loads(line) for line in server.log]
    (call,) = [line for line in lines if line["message"] == "call"]
    assert (call["method"], call["code"], call["items"]) == ("Convert", "OK", 1)
    assert call["tokens"] > 0
    assert call["run_us"] > 0
    assert "수도" not in "".join(server.log)
