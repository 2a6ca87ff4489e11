"""Abuse of HTTP/2: bounded in memory and time, and nobody else notices.

Bounds are generous: what they tell apart is a server that has a limit from one that has none.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
from hyperframe.frame import ContinuationFrame

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import CONVERTED, LONG, PATIENCE_S, TEXT, Load, Patient, until
from .http2 import CONVERT, PREFACE, RawConnection, framed
from .wire import connected

TIMES = 50 if LONG else 1
BURSTS = 100_000 if LONG else 12_000
MIB = 2**20
OK, RESOURCE_EXHAUSTED = "0", "8"
REQUEST = framed(pb.ConvertRequest(text=TEXT).SerializeToString())


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    flags = ("--handshake-s", "1", "--request-s", "1")
    flags += ("--max-concurrent-rpcs", "100", "--caller-share", "0.5")
    with Patient(tiny_bundle, tmp_path_factory.mktemp("http2"), *flags) as running:
        running.is_well()
        yield running


@contextmanager
def under_attack(
    server: Patient, record: Callable[..., None], *, most_bytes: int = 48 * MIB
) -> Iterator[None]:
    """While the block attacks, others are served; afterwards nothing is held."""
    before, cpu = server.rss(), server.cpu_s()
    with Load(server, callers=1) as load:
        yield
        load.more(10)
    server.is_well()
    assert (load.errors, set(load.answers)) == ([], {CONVERTED})
    grown = server.rss() - before
    record(rss_grown=grown, cpu_s=round(server.cpu_s() - cpu, 2))
    assert grown < most_bytes


def test_rapid_reset(server: Patient, record: Callable[..., None]) -> None:
    """CVE-2023-44487: calls that are taken back as soon as they are made."""
    with under_attack(server, record), RawConnection(server.address) as raw:
        for stream in range(1, 2 * 3000 * TIMES, 2):
            if not raw.send(raw.headers(stream), raw.data(stream, REQUEST), raw.reset(stream)):
                break


def test_ping_flood(server: Patient, record: Callable[..., None]) -> None:
    with under_attack(server, record), RawConnection(server.address) as raw:
        burst = raw.ping().serialize() * 100
        for _ in range(200 * TIMES):
            if not raw.send_bytes(burst):
                break
        assert raw.is_closed(PATIENCE_S), "too many pings are answered with GOAWAY"


def test_idle_calls(server: Patient, record: Callable[..., None]) -> None:
    """10,000 calls that never send their message, on as many connections as it takes.

    Twice: what the first time takes is the allocator's, which keeps some and uses it again (30 to
    90 MiB were seen, which eight times in turn did not add to). Calls that are held do add up.
    """
    hold_idle_calls(server)
    with under_attack(server, record):
        hold_idle_calls(server)


def hold_idle_calls(server: Patient) -> None:
    ended, refused = "hanjaserve_rejected_total deadline_expired", "hanjaserve_rejected_total caller_share"
    before = server.metrics()
    with ExitStack() as stack:
        for _ in range(100):
            raw = stack.enter_context(RawConnection(server.address))
            raw.send(*(raw.headers(stream) for stream in range(1, 200, 2)))
        # Refusing them takes seconds of a processor, of which the server may have a part.
        assert server.convert(timeout=3 * PATIENCE_S) == CONVERTED
        # They are refused when there are many, and ended when time is up.
        until(lambda: server.metrics().get(ended, 0) > before.get(ended, 0))
        assert server.metrics()[refused] - before.get(refused, 0) > 5000


def test_slow_handshake(server: Patient) -> None:
    """A connection that does not introduce itself, and one that does so byte by byte."""
    with RawConnection(server.address, greet=False) as silent, RawConnection(
        server.address, greet=False
    ) as slow:
        for byte in PREFACE[:10]:
            slow.send_bytes(bytes([byte]))
            time.sleep(0.05)
        assert silent.is_closed(PATIENCE_S)
        assert slow.is_closed(PATIENCE_S)
    server.is_well()


@pytest.mark.parametrize("agree", [True, False])
def test_headers_without_end(server: Patient, agree: bool, record: Callable[..., None]) -> None:
    """CONTINUATION frames that never come to an end: most of what is sent is not kept."""
    piece = ContinuationFrame(1, data=b"\x00\x01a\x7f\x80\x01" + b"b" * 255).serialize() * 50
    sent, wanted = 0, BURSTS * len(piece)
    with under_attack(server, record, most_bytes=wanted // 2):
        with RawConnection(server.address, agree=agree) as raw:
            opening = raw.headers(1)
            opening.flags.discard("END_HEADERS")
            raw.send(opening)
            while sent < wanted and raw.send_bytes(piece):
                sent += len(piece)
    record(header_bytes=sent)


def test_who_ignores_our_settings_is_hung_up_on(server: Patient) -> None:
    """Until it acknowledges them, a peer is bound by no limit of headers and calls."""
    with RawConnection(server.address, agree=False) as deaf, RawConnection(server.address) as polite:
        assert deaf.is_closed(PATIENCE_S)
        polite.send(polite.headers(1), polite.data(1, REQUEST))
        assert polite.status_of(1) == OK


@pytest.mark.parametrize(("count", "status"), [(10, OK), (80, RESOURCE_EXHAUSTED)])
def test_large_headers_are_refused(server: Patient, count: int, status: str) -> None:
    with RawConnection(server.address) as raw:
        extra = tuple((f"x-{number}", "v" * 200) for number in range(count))
        raw.send(raw.headers(1, extra=extra), raw.data(1, REQUEST))
        assert raw.status_of(1) == status
    server.is_well()


def test_watcher_that_does_not_read_cannot_hold_up_the_end(tiny_bundle: Path, tmp_path: Path) -> None:
    """The health service writes under a lock, which a caller with a closed window would hold for ever."""
    from grpc_health.v1 import health_pb2

    with (
        Patient(tiny_bundle, tmp_path, "--grace-s", "4", "--reading-s", "600") as server,
        RawConnection(server.address, window=0) as raw,
    ):
        message = framed(health_pb2.HealthCheckRequest().SerializeToString())
        raw.send(raw.headers(1, path="/grpc.health.v1.Health/Watch"), raw.data(1, message))
        until(lambda: server.metrics().get("hanjaserve_calls_in_progress /grpc.health.v1.Health/Watch") == 1)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert time.monotonic() - started < 10


def test_answers_that_nobody_reads_are_bounded(server: Patient, record: Callable[..., None]) -> None:
    """A closed window: answers pile up only as far as the share of the caller goes."""
    options = pb.ConvertOptions(rendering=pb.RENDERING_RUBY, with_spans=True)  # few texts, many bytes
    request = pb.ConvertRequest(text="수도" * 1000, options=options).SerializeToString()
    with under_attack(server, record):
        asyncio.run(ask_and_not_read(server, request))


async def ask_and_not_read(server: Patient, request: bytes) -> None:
    refused = "hanjaserve_rejected_total caller_share"
    before = server.metrics().get(refused, 0)
    async with connected(server.address, window=0) as wire:
        ask = partial(wire.call, CONVERT, [request], patience_s=PATIENCE_S)
        calls = [asyncio.create_task(ask()) for _ in range(100)]
        await asyncio.to_thread(until, lambda: server.metrics().get(refused, 0) >= before + 50)
        await asyncio.to_thread(until, server.is_idle)
        # All others are answered; until somebody reads that, they keep their part of the share.
        assert (await ask()).code is grpc.StatusCode.RESOURCE_EXHAUSTED
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
