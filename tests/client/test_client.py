"""Both clients against a fake server: the same tests, written once."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import grpc
import pytest

from hanjaserve.client import (
    Alternative,
    Client,
    Conversion,
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    ItemError,
    Overloaded,
    RetryPolicy,
    Span,
    SyncClient,
    TextTooLong,
    Unavailable,
)

from .fake_server import POISON, FakeService, Fault

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Both:
    """One client, called the same way whichever it is: the aio one through a loop of its own."""

    def __init__(self, kind: str, target: str, **arguments: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.aio = kind == "aio"
        self.client: Any = (
            self.loop.run_until_complete(self._make_aio(target, arguments))
            if self.aio
            else SyncClient(target, **arguments)
        )

    async def _make_aio(self, target: str, arguments: dict[str, Any]) -> Client:
        return Client(target, **arguments)

    def call(self, method: str, *positional: Any, **named: Any) -> Any:
        result = getattr(self.client, method)(*positional, **named)
        return self.loop.run_until_complete(result) if self.aio else result

    def stream(self, texts: Iterable[str], **named: Any) -> Iterator[Any]:
        if not self.aio:
            yield from self.client.convert_stream(texts, **named)
            return
        results = self.client.convert_stream(texts, **named)
        try:
            while True:
                try:
                    yield self.loop.run_until_complete(anext(results))
                except StopAsyncIteration:
                    return
        finally:
            self.loop.run_until_complete(results.aclose())

    def close(self) -> None:
        self.call("close")
        self.loop.close()


@pytest.fixture(params=["sync", "aio"])
def make(request: pytest.FixtureRequest, fake: FakeService) -> Iterator[Callable[..., Both]]:
    made: list[Both] = []

    def make(target: str = "", **arguments: Any) -> Both:
        made.append(Both(request.param, target or fake.target, **arguments))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make: Callable[..., Both], quick: RetryPolicy) -> Both:
    return make(retry=quick)


def test_convert(client: Both, fake: FakeService) -> None:
    conversion = client.call("convert", "이 수도", max_alternatives=3, rendering="ruby")
    span = Span(
        start=2,
        end=4,
        hangul="수도",
        hanja="首都",
        score=0.5,
        alternatives=(Alternative(hanja="水道", score=0.25),),
    )
    assert conversion == Conversion(text="이 首都", spans=(span,))
    assert fake.options is not None
    assert fake.options.with_spans and fake.options.max_alternatives == 3
    assert client.call("convert", "") == Conversion(text="")


def test_slips_are_caught_before_anything_is_sent(client: Both, fake: FakeService) -> None:
    with pytest.raises(InvalidRequest, match="min_score is 2") as caught:
        client.call("convert", "수도", min_score=2)
    assert caught.value.field_violations[0].field == "options.min_score"
    with pytest.raises(InvalidRequest, match="use one of hanja, hangul-hanja"):
        client.call("convert", "수도", rendering="kana")
    with pytest.raises(InvalidRequest, match="max_alternatives is 9"):
        client.call("convert", "수도", max_alternatives=9)
    with pytest.raises(InvalidRequest, match="lone surrogate U\\+DC80 at code point 1"):
        client.call("convert", "수\udc80")
    assert fake.calls == []


def test_a_server_that_is_away_or_cancels_as_it_stops_is_tried_again(client: Both, fake: FakeService) -> None:
    fake.faults = [Fault(UNAVAILABLE), Fault(grpc.StatusCode.CANCELLED)]
    assert client.call("convert", "수도").text == "首都"
    assert fake.calls == ["Convert"] * 3


def test_retries_end(client: Both, fake: FakeService) -> None:
    fake.faults = [Fault(UNAVAILABLE, "draining")] * 9
    with pytest.raises(Unavailable, match="draining"):
        client.call("convert", "수도")
    assert fake.calls == ["Convert"] * 5


def test_the_delay_of_an_overloaded_server_is_honoured(client: Both, fake: FakeService) -> None:
    fake.faults = [Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after_s=0.2)]
    started = time.monotonic()
    assert client.call("convert", "수도").text == "首都"
    assert time.monotonic() - started >= 0.2


def test_a_delay_past_the_deadline_is_not_waited_for(client: Both, fake: FakeService) -> None:
    fake.faults = [Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after_s=60)]
    with pytest.raises(Overloaded, match="busy") as caught:
        client.call("convert", "수도", timeout_s=5)
    assert caught.value.retry_after_s == 60
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "bad", InvalidRequest),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Received message larger than max (9 vs. 4)",
            TextTooLong,
        ),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "full", Overloaded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "late", DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, "bug", Internal),
        (grpc.StatusCode.UNKNOWN, "bug", Internal),
    ],
)
def test_final_errors(
    client: Both, fake: FakeService, code: grpc.StatusCode, message: str, kind: type[Exception]
) -> None:
    fake.faults = [Fault(code, message)]
    with pytest.raises(kind) as caught:
        client.call("convert", "수도")
    assert type(caught.value) is kind
    assert str(caught.value) == f"{code.name}: {message}"
    assert fake.calls == ["Convert"]


def test_no_server(make: Callable[..., Both], quick: RetryPolicy) -> None:
    with pytest.raises(Unavailable):
        make("127.0.0.1:1", retry=quick).call("convert", "수도")


def test_batches_are_cut_to_the_servers_limit(client: Both, fake: FakeService) -> None:
    results = client.call("convert_batch", [f"수도 {n}" for n in range(20)])
    assert [result.text for result in results] == [f"首都 {n}" for n in range(20)]
    assert sorted(fake.batches) == [4, 8, 8]
    assert fake.calls.count("GetServerInfo") == 1
    assert client.call("convert_batch", []) == []


def test_batches_are_cut_by_bytes(client: Both, fake: FakeService) -> None:
    texts = ["가" * 4000] * 6
    assert [len(result.text) for result in client.call("convert_batch", texts)] == [4000] * 6
    assert sorted(fake.batches) == [2, 2, 2]


def test_bad_items_spoil_no_others(client: Both) -> None:
    good, bad, unsendable = client.call("convert_batch", ["수도", POISON, "\ud800"])
    assert good.text == "首都"
    assert isinstance(bad, ItemError) and isinstance(bad.error, TextTooLong)
    assert bad.code is grpc.StatusCode.INVALID_ARGUMENT
    assert bad.error.field_violations[0].field == "text"
    assert isinstance(unsendable, ItemError) and "surrogate" in unsendable.message


def test_stream_keeps_order_and_reports_bad_items(client: Both, fake: FakeService) -> None:
    texts = [POISON if n == 30 else f"수도 {n}" for n in range(200)]
    results = list(client.stream(texts, style="scripture"))
    assert fake.options is not None and fake.options.style == "scripture"
    assert isinstance(results.pop(30), ItemError)
    expected = [f"首都 {n}" for n in range(200) if n != 30]
    assert [result.text for result in results] == expected
    assert max(fake.batches) <= 8
    assert list(client.stream([])) == []


def test_stream_takes_endless_input_lazily(client: Both, fake: FakeService) -> None:
    taken = itertools.count()
    results = client.stream(f"수도 {next(taken)}" for _ in itertools.repeat(None))
    assert [next(results).text for _ in range(50)] == [f"首都 {n}" for n in range(50)]
    # Every text read is among those yielded, in flight, or in the hands of the client.
    assert next(taken) <= 50 + 2 * fake.limits.max_stream_in_flight
    results.close()  # type: ignore[attr-defined]


def test_stream_takes_up_again_where_it_broke(client: Both, fake: FakeService) -> None:
    fake.break_after = [5, 1, 17]
    texts = [f"수도 {n}" for n in range(60)]
    results = [result.text for result in client.stream(texts)]
    assert results == [f"首都 {n}" for n in range(60)]
    assert fake.calls.count("StreamConvert") == 4


def test_stream_gives_up_without_progress(client: Both, fake: FakeService) -> None:
    fake.break_after = [3] + [0] * 20
    results = client.stream([f"수도 {n}" for n in range(9)])
    assert [next(results).text for _ in range(3)] == ["首都 0", "首都 1", "首都 2"]
    # grpc.aio may lose the server's own message (grpc/grpc#36066).
    with pytest.raises(Unavailable, match=r"draining|ended the stream"):
        next(results)
    assert fake.calls.count("StreamConvert") == 5


def test_an_error_of_the_input_comes_after_its_results(client: Both) -> None:
    def texts() -> Iterator[str]:
        yield "수도"
        raise OSError("disk on fire")

    results = client.stream(texts())
    assert next(results).text == "首都"
    with pytest.raises(OSError, match="disk on fire"):
        next(results)


def test_a_silent_server_is_given_up(client: Both, fake: FakeService) -> None:
    fake.silent = threading.Event()
    try:
        with pytest.raises(DeadlineExceeded, match=r"silent for 0.2 s with 1 texts unanswered"):
            next(client.stream(["수도"], timeout_s=0.2))
    finally:
        fake.silent.set()


def test_server_info_and_readiness(client: Both, fake: FakeService) -> None:
    fake.ready_after = 2
    info = client.call("wait_ready", timeout_s=10)
    assert info.ready and info.styles == ("modern", "scripture")
    assert info.limits.max_batch_items == 8
    assert fake.calls == ["GetServerInfo"] * 3
    fake.ready_after = 10**9
    with pytest.raises(Unavailable, match="is starting or stopping"):
        client.call("wait_ready", timeout_s=0.3)


@pytest.mark.parametrize(
    ("infos", "reason"), [(0, r"did not answer within 0.3 s"), (1, "is starting or stopping")]
)
def test_waiting_for_one_who_falls_silent(
    client: Both, fake: FakeService, infos: int, reason: str
) -> None:
    fake.silent, fake.infos_before_silence, fake.ready_after = threading.Event(), infos, 10**9
    try:
        with pytest.raises(Unavailable, match=reason):
            client.call("wait_ready", timeout_s=0.3)
    finally:
        fake.silent.set()


async def test_aio_takes_async_iterables_that_pause(fake: FakeService) -> None:
    async def texts() -> AsyncIterator[str]:
        yield "물 1"
        await asyncio.sleep(0.1)
        yield "물 2"

    async with Client(fake.target) as client:
        results = [result async for result in client.convert_stream(texts(), timeout_s=0.05)]
    assert results == [Conversion(text="물 1"), Conversion(text="물 2")]


async def test_aio_calls_run_side_by_side(fake: FakeService) -> None:
    async with Client(fake.target) as client:
        conversions = await asyncio.gather(*(client.convert(f"수도 {n}") for n in range(50)))
    assert [conversion.text for conversion in conversions] == [f"首都 {n}" for n in range(50)]


def test_sync_stream_answers_while_the_input_blocks(fake: FakeService) -> None:
    answered = threading.Event()

    def texts() -> Iterator[str]:
        yield "물 1"
        assert answered.wait(10)
        yield "물 2"

    with SyncClient(fake.target) as client:
        results = client.convert_stream(texts())
        assert next(results) == Conversion(text="물 1")
        answered.set()
        assert list(results) == [Conversion(text="물 2")]


def test_abandoned_streams_leave_no_threads(fake: FakeService) -> None:
    with SyncClient(fake.target) as client:
        for _ in range(3):
            results = client.convert_stream(map(str, itertools.count()))
            next(results)
            results.close()  # type: ignore[attr-defined]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            names = [t.name for t in threading.enumerate() if t.name.startswith("hanjaserve-")]
            if not names:
                break
            time.sleep(0.01)
        assert names == []
