"""Callers who give up, vanish, stall or ask for too much: their slots come back, the others are served."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import CONVERTED, LONG, TEXT, Load, Patient, until

CANCELLATIONS = 100_000 if LONG else 600
READERS = 20 if LONG else 1
ROUNDS = 100 if LONG else 1
MIB = 2**20


@contextmanager
def crowd(server: Patient, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    host, port = server.address.split(":")
    with ExitStack() as stack:
        address = (host, int(port))
        yield [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(count)]


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        while connection.recv(1000):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def items(*texts: str) -> pb.StreamConvertRequest:
    return pb.StreamConvertRequest(items=pb.StreamItems(items=[pb.StreamItem(text=t) for t in texts]))


def test_deadline_while_running(patient: Patient) -> None:
    patient.falls_ill("first slow 0.4")
    with pytest.raises(grpc.RpcError) as caught:
        patient.convert(timeout=0.15)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    patient.falls_ill("")
    patient.is_well()


def test_deadline_while_queued_is_not_computed(patient: Patient) -> None:
    patient.is_well()
    before = patient.metrics()["hanjaserve_tokens_total"]
    patient.falls_ill("first slow 1")
    first = patient.stub.Convert.future(pb.ConvertRequest(text=TEXT), timeout=20)
    time.sleep(0.2)
    with pytest.raises(grpc.RpcError) as caught:
        patient.convert("학교" * 100, timeout=0.3)
    assert caught.value.code() in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # when the rate tells at once that it can't be done
    )
    patient.falls_ill("")
    assert first.result().conversion.text == CONVERTED
    until(patient.is_idle)
    computed = patient.metrics()["hanjaserve_tokens_total"] - before
    assert 0 < computed < 100
    patient.is_well()


def test_cancellations_leave_nothing_behind(patient: Patient, record: Callable[..., None]) -> None:
    """At every stage: before it is sent, while it waits, while it runs, when it is done; and streams."""

    def cancel(number: int) -> None:
        if number % 3 == 2:
            stream = patient.stub.StreamConvert(iter([items(TEXT)] * 3))
            next(stream)
            stream.cancel()
            return
        call = patient.stub.Convert.future(pb.ConvertRequest(text=TEXT))
        time.sleep((number % 7) * 0.0004)
        call.cancel()

    def cancel_many(count: int) -> None:
        for number in range(count):
            cancel(number)

    with Load(patient, callers=1) as load:
        cancel_many(300)  # arenas and caches fill once
        before = patient.rss()
        cancel_many(CANCELLATIONS)
        after = patient.rss()
        load.more()
    assert load.errors == []
    patient.is_well()
    assert after - before < 24 * MIB
    record(cancellations=CANCELLATIONS, rss_before=before, rss_after=after)


CLIENT = """
import sys, time, grpc
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub
item = pb.StreamItem(text="수도")
def requests():
    while True:
        yield pb.StreamConvertRequest(items=pb.StreamItems(items=[item] * 50))
        time.sleep(0.01)
for response in HanjaServiceStub(grpc.insecure_channel(sys.argv[1])).StreamConvert(requests()):
    print("x", flush=True)
"""


@pytest.fixture
def victim(patient: Patient) -> Iterator[subprocess.Popen[bytes]]:
    """A client in the middle of a stream."""
    command = [sys.executable, "-c", CLIENT, patient.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.readline()
        assert not patient.is_idle()
        yield process
        process.kill()


def test_client_is_killed(patient: Patient, victim: "subprocess.Popen[bytes]") -> None:
    victim.kill()
    patient.is_well()


def test_client_freezes_and_its_connection_is_given_up(tiny_bundle: Path, tmp_path: Path) -> None:
    """Half-open: the peer's machine acknowledges, nobody answers. Keep-alive finds out."""
    with Patient(tiny_bundle, tmp_path, "--keepalive-s", "1", "--reading-s", "60") as server:
        command = [sys.executable, "-c", CLIENT, server.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            process.stdout.readline()
            os.kill(process.pid, signal.SIGSTOP)
            try:
                server.is_well()
            finally:
                process.kill()


def test_slow_reader_is_dropped_and_others_are_served(patient: Patient, record: Callable[..., None]) -> None:
    """Ruby and spans make many bytes of few texts, quickly: more than a client takes without reading them."""
    options = pb.ConvertOptions(rendering=pb.RENDERING_RUBY, with_spans=True)
    config = pb.StreamConvertRequest(config=pb.StreamConfig(options=options))
    before, rejected = patient.rss(), "hanjaserve_rejected_total slow_reader"
    with Load(patient) as load:
        for _ in range(READERS):
            known = patient.metrics().get(rejected, 0)
            stream = patient.stub.StreamConvert(iter([config, *[items("수도" * 4000)] * 40]))
            try:
                until(lambda known=known: patient.metrics().get(rejected, 0) > known)  # type: ignore[misc]
                load.more()
                with pytest.raises(grpc.RpcError) as caught:
                    for _ in stream:
                        pass
            finally:
                stream.cancel()
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (load.errors, set(load.answers)) == ([], {CONVERTED})
    patient.is_well()
    record(readers=READERS, answers=len(load.answers), rss_before=before, rss_after=patient.rss())


def test_full_queue_refuses_with_a_time_to_come_back(tiny_bundle: Path, tmp_path: Path) -> None:
    flags = ("--max-text-code-points", "2000", "--max-queue-tokens", "4000")
    with Patient(tiny_bundle, tmp_path, *flags) as server:
        server.falls_ill("first slow 0.3")
        request = pb.ConvertRequest(text="학교" * 900)
        calls = [server.stub.Convert.future(request, timeout=30) for _ in range(12)]
        errors = [error for call in calls if (error := call.exception()) is not None]
        assert 0 < len(errors) < 12
        for error in errors:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            retry = error_details_pb2.RetryInfo()
            assert status_pb2.Status.FromString(details).details[0].Unpack(retry)
            assert retry.retry_delay.ToNanoseconds() > 0
        server.falls_ill("")
        server.is_well()


def test_descriptors_run_out(tiny_bundle: Path, tmp_path: Path) -> None:
    """Whoever is connected is served on; when others leave, there is room again."""
    with Patient(tiny_bundle, tmp_path, prefix=("prlimit", "--nofile=80")) as server:
        server.is_well()
        with crowd(server, 120):
            assert server.convert() == CONVERTED

        def newcomer() -> bool:
            with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                try:
                    grpc.channel_ready_future(channel).result(1)
                except grpc.FutureTimeoutError:
                    return False
                return True

        until(newcomer)
        server.is_well()


def test_connections_are_limited(tiny_bundle: Path, tmp_path: Path) -> None:
    with Patient(tiny_bundle, tmp_path, "--max-connections", "4") as server:
        server.is_well()
        with crowd(server, 20) as connections:
            assert sum(map(is_closed, connections)) >= 16
            server.is_well()


def test_many_threads_of_one_client(patient: Patient, record: Callable[..., None]) -> None:
    for _ in range(ROUNDS):
        results: list[str] = []
        threads = [threading.Thread(target=lambda: results.append(patient.convert())) for _ in range(50)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [CONVERTED] * 50
    patient.is_well()
    record(texts=50 * ROUNDS)
