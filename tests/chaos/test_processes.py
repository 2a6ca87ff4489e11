"""--frontends: any process may be killed at any moment; who is not concerned does not notice."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import CONVERTED, LONG, TEXT, Load, Patient, until

KILLS = 20 if LONG else 2
CALLERS = 12
SHARED_MEMORY = Path("/dev/shm")


class Family(Patient):
    """A server of several processes."""

    def __init__(self, bundle: Path, folder: Path, *flags: str) -> None:
        super().__init__(bundle, folder, "--frontends", "2", *flags)

    def pid(self, name: str) -> int:
        """Of the process of that name that was started last."""
        return self.started(name)[-1]

    def started(self, name: str) -> list[int]:
        lines = [json.loads(line) for line in self.log if '"process started"' in line]
        return [line["pid"] for line in lines if line["name"] == name]

    def kill_one(self, name: str) -> float:
        """Kill a process; returns the seconds until all are there and serve again."""
        known = len(self.started(name))
        os.kill(self.pid(name), signal.SIGKILL)
        begun = time.monotonic()
        until(lambda: len(self.started(name)) > known)
        until(lambda: self.metrics()["hanjaserve_frontends"] == 2 and self.is_ready())
        return time.monotonic() - begun

    def is_well(self) -> None:
        # Its connection may be to a front-end that has not noticed yet that the others serve again.
        until(lambda: _code(self) is None)
        super().is_well()

    def is_ready(self) -> bool:
        return self.metrics()["hanjaserve_ready"] == 1


@pytest.fixture(scope="module")
def family(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    with Family(tiny_bundle, tmp_path_factory.mktemp("family")) as running:
        yield running


def connections(server: Family, name: str) -> int:
    """How many callers are connected to a front-end."""
    pid = server.pid(name)
    inodes = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    port = f":{int(server.address.rpartition(':')[2]):04X}"
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    own = [line for line in lines if f"socket:[{line[9]}]" in inodes]
    return sum(line[1].endswith(port) and line[3] == "01" for line in own)


class Streams:
    """Callers with an open stream and a connection each; the kernel spreads them over the front-ends."""

    def __init__(self, server: Family, callers: int = CALLERS) -> None:
        self._over = threading.Event()
        self._channels = [
            grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)])
            for _ in range(callers)
        ]
        self._turns = [threading.Semaphore(0) for _ in range(callers)]
        self._stubs: list[Any] = [server.stub_of(channel) for channel in self._channels]
        self.calls = [stub.StreamConvert(self._texts(i)) for i, stub in enumerate(self._stubs)]

    def __enter__(self) -> "Streams":
        assert self.answers() == [CONVERTED] * len(self.calls)
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        for turn in self._turns:
            turn.release()
        for channel in self._channels:
            channel.close()

    def answers(self) -> list[str | grpc.StatusCode]:
        """What each of them gets for one more text."""
        for turn in self._turns:
            turn.release()
        return [self._answer(call) for call in self.calls]

    def stored(self) -> list[list[str]]:
        """The glossaries that each of them finds."""
        answers = [stub.ListGlossaries(pb.ListGlossariesRequest()) for stub in self._stubs]
        return [[found.id for found in answer.glossaries] for answer in answers]

    def _answer(self, call: Any) -> str | grpc.StatusCode:
        try:
            return str(next(call).results[0].conversion.text)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code

    def _texts(self, index: int) -> Iterator[pb.StreamConvertRequest]:
        while True:
            self._turns[index].acquire()
            if self._over.is_set():
                return
            yield pb.StreamConvertRequest(items=pb.StreamItems(items=[pb.StreamItem(id=1, text=TEXT)]))


def test_killed_frontend_takes_only_its_own_calls_along(family: Family, record: Callable[..., None]) -> None:
    times = []
    family.stub.PutGlossary(pb.PutGlossaryRequest(id="kept"))
    for number in range(KILLS):
        victim = f"frontend-{1 + number % 2}"
        with Streams(family) as streams:
            lost = connections(family, victim)
            # The channel of the fixture may be one of them.
            assert 0 < lost < CALLERS + 1, "the kernel gave all callers to one front-end"
            times.append(family.kill_one(victim))
            answers = streams.answers()
            assert set(answers) == {CONVERTED, grpc.StatusCode.UNAVAILABLE}
            assert lost - 1 <= answers.count(grpc.StatusCode.UNAVAILABLE) <= lost
        family.is_well()
    with Streams(family) as streams:
        # All front-ends are others than those that the glossary was put on.
        assert all(names == ["kept"] for names in streams.stored())
    record(kills=KILLS, back_after_s=[round(seconds, 2) for seconds in times])
    assert min(times) < 5


def test_killed_engine_fails_calls_once_and_comes_back(family: Family, record: Callable[..., None]) -> None:
    family.falls_ill("all slow 5")
    call = family.stub.Convert.future(pb.ConvertRequest(text=TEXT), timeout=30)
    until(lambda: family.metrics()["hanjaserve_running_tokens"] > 0)
    family.falls_ill("")
    begun = time.monotonic()
    os.kill(family.pid("engine"), signal.SIGKILL)
    error = call.exception()
    noticed = time.monotonic() - begun
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert _retry_delay_s(error) > 0
    assert noticed < 2
    until(lambda: family.health() == health_pb2.HealthCheckResponse.SERVING)
    assert family.convert() == CONVERTED
    record(noticed_after_s=round(noticed, 3), back_after_s=round(time.monotonic() - begun, 2))
    family.is_well()


def test_engine_that_has_no_runner_left_is_started_again(family: Family) -> None:
    engine = family.pid("engine")
    family.falls_ill("all throw")
    until(lambda: _code(family) is grpc.StatusCode.UNAVAILABLE)
    until(lambda: family.pid("engine") != engine)
    family.falls_ill("")
    family.is_well()


def _code(server: Family) -> grpc.StatusCode | None:
    try:
        server.convert()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()  # type: ignore[attr-defined]
        return code
    return None


def test_health_follows_the_engine(family: Family) -> None:
    with grpc.insecure_channel(family.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        os.kill(family.pid("engine"), signal.SIGKILL)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    family.is_well()


def test_callers_who_retry_notice_nothing_of_killed_processes(
    family: Family, record: Callable[..., None]
) -> None:
    with Load(family, callers=4) as load:
        for _ in range(KILLS // 2):
            for name in ("frontend-1", "engine", "frontend-2"):
                family.kill_one(name)
                load.errors.clear()
                load.more()
    assert set(load.answers) == {CONVERTED}
    assert set(load.errors) <= {grpc.StatusCode.UNAVAILABLE}
    family.is_well()
    found = family.metrics()
    ends = {role: found[f"hanjaserve_process_ends_total {role}"] for role in ("engine", "frontend")}
    record(texts=len(load.answers), ends=ends)


def test_killed_supervisor_leaves_nothing_behind(tiny_bundle: Path, tmp_path: Path) -> None:
    before = set(SHARED_MEMORY.iterdir())
    with Family(tiny_bundle, tmp_path) as server:
        assert server.convert() == CONVERTED
        pids = [server.pid(name) for name in ("engine", "frontend-1", "frontend-2")]
        assert not [path for path in set(SHARED_MEMORY.iterdir()) - before if "hanjaserve" in path.name]
        server.process.kill()
        try:
            until(lambda: not any(_is_alive(pid) for pid in pids))
        finally:
            for pid in filter(_is_alive, pids):
                os.kill(pid, signal.SIGKILL)  # else they hold the pipes of the test for ever
    assert not [path for path in set(SHARED_MEMORY.iterdir()) - before if "hanjaserve" in path.name]


def test_end_under_load_of_several_processes(tiny_bundle: Path, tmp_path: Path) -> None:
    """The signal reaches all of them, as from a terminal: none but the supervisor heeds it."""
    with Family(tiny_bundle, tmp_path) as server:
        with Load(server) as load, Streams(server, 6) as streams:
            server.falls_ill("all slow 0.5")
            accepted = [
                server.stub.Convert.future(pb.ConvertRequest(text=TEXT), timeout=30) for _ in range(2)
            ]
            until(lambda: server.metrics()["hanjaserve_running_tokens"] > 0)
            for name in ("engine", "frontend-1", "frontend-2"):
                os.kill(server.pid(name), signal.SIGTERM)
                os.kill(server.pid(name), signal.SIGINT)
            server.signal(signal.SIGTERM)
            assert set(streams.answers()) == {CONVERTED}
            streams.__exit__()
            assert {call.result().conversion.text for call in accepted} == {CONVERTED}
            assert server.wait(30) == 0
        assert set(load.answers) == {CONVERTED}
        assert set(load.errors) == {grpc.StatusCode.UNAVAILABLE}


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _retry_delay_s(error: Any) -> float:
    trailer = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailer["grpc-status-details-bin"])
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
