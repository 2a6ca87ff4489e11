"""LiveConvert over a real connection, with a converter that upper-cases."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

import grpc
import pytest

from hanjaserve.client.live_view import LiveView
from hanjaserve.server.batcher import Priority
from hanjaserve.server.errors import InvalidText
from hanjaserve.server.gate import Call
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.live.settings import LiveBounds, LiveBudget
from hanjaserve.server.live.stream import LiveStream
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.server.fakes import FakeConverter
from tests.server.test_service import Code, Harness, running, until, violation

from .sessions import commit, edit, replace

CONFIG = pb.LiveRequest(config=pb.LiveConfig())


class Reachable(Protocol):
    """What has a stub."""

    stub: Any


class Caller:
    """One call, and what it has been told."""

    def __init__(self, server: Reachable, *messages: pb.LiveRequest) -> None:
        self.view = LiveView()
        self.events: list[pb.LiveEvent] = []
        self.call = server.stub.LiveConvert()
        self._first = messages

    async def __aenter__(self) -> "Caller":
        await self.send(*self._first)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.call.cancel()

    async def send(self, *messages: pb.LiveRequest) -> None:
        for message in messages:
            await self.call.write(message)

    @property
    def done(self) -> list[int]:
        """The revisions that are done, in the order in which it was told."""
        done = [event.done for event in self.events if event.HasField("done")]
        return [r for d in done for r in range(d.first_revision, d.revision + 1)]

    @property
    def results(self) -> list[pb.SegmentResult]:
        return [event.result for event in self.events if event.HasField("result")]

    async def until(self, kind: str, revision: int = 0) -> pb.LiveEvent:
        """Read until an event of a kind comes; `done` of that revision."""
        async with asyncio.timeout(60):
            while True:
                response = await self.call.read()
                assert response is not grpc.aio.EOF, await self.call.details()
                found = None
                for event in response.events:
                    self.events.append(event)
                    self.view.apply(event)
                    if event.WhichOneof("event") == kind and event.done.revision >= revision:
                        found = event
                if found is not None:
                    return found

    async def rest(self) -> None:
        while (response := await self.call.read()) is not grpc.aio.EOF:
            for event in response.events:
                self.events.append(event)
                self.view.apply(event)


async def ending(harness: Harness, messages: Iterable[pb.LiveRequest]) -> tuple[Code, str]:
    """How a call with these messages ends."""

    async def requests() -> AsyncIterator[pb.LiveRequest]:
        for message in messages:
            yield message

    call = harness.stub.LiveConvert(requests())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return caught.value.code(), caught.value.details() or ""


async def test_typing_and_half_close() -> None:
    async with running() as harness, Caller(harness, CONFIG) as caller:
        started = (await caller.until("started")).started
        assert started.limits.max_code_points == 1_000_000
        assert (started.model_revision, len(started.resume_token)) == ("abc", 16)
        await caller.send(edit(1, 0, 0, "abc. "), edit(2, 5, 5, "de"))
        await caller.until("done", 2)
        assert caller.view.text == "ABC. DE"
        await caller.send(edit(3, 7, 7, "f"))
        await caller.call.done_writing()
        await caller.rest()
        assert await caller.call.code() is Code.OK
        assert caller.view.text == "ABC. DEF"
        assert len(list(caller.view.finals())) == 2
        await until(lambda: harness.gate.active == 0)


async def test_priorities_follow_what_is_waited_for() -> None:
    async with running() as harness, Caller(harness, CONFIG, replace(1, "a")) as caller:
        await caller.until("done", 1)
        await caller.send(commit(2), replace(3, "b. c"), commit(4))
        await caller.until("done", 4)
        await caller.send(replace(5, "de. " * 5_000))
        await caller.until("done", 5)
        found = [priority for _, _, priority in harness.converter.calls]
    assert found[0] is Priority.LIVE_INTERIM
    assert Priority.LIVE_FINAL in found
    assert Priority.INTERACTIVE in found


async def test_interim_rate_and_flush() -> None:
    config = pb.LiveRequest(config=pb.LiveConfig(max_interim_per_s=1))
    async with running() as harness, Caller(harness, config, edit(1, 0, 0, "a")) as caller:
        await caller.until("done", 1)
        began = time.monotonic()
        await caller.send(edit(2, 1, 1, "b"), pb.LiveRequest(flush=pb.LiveFlush()))
        await caller.until("done", 2)
        assert time.monotonic() - began < 0.9
        await caller.send(edit(3, 2, 2, "c"))
        await caller.until("done", 3)
        assert time.monotonic() - began > 0.9


async def test_too_many_edits_are_read_more_slowly() -> None:
    async with running(max_live_edits_per_s=50) as harness, Caller(harness, CONFIG) as caller:
        began = time.monotonic()
        await caller.send(*[edit(number, 0, 0, "a") for number in range(1, 101)])
        await caller.until("done", 100)
        assert 0.8 < time.monotonic() - began < 5
        assert caller.view.text == "A" * 100
        assert caller.done == list(range(1, 101))


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "before its config came"),
        ([edit(1, 0, 0, "a")], "edit came first"),
        ([pb.LiveRequest()], "None came first"),
        ([CONFIG, CONFIG], "send it first, and once"),
        ([CONFIG, pb.LiveRequest()], "the message is empty"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_call(messages: list[pb.LiveRequest], words: str) -> None:
    async with running() as harness:
        code, details = await ending(harness, messages)
        assert (code, words in details) == (Code.INVALID_ARGUMENT, True), details
        await until(lambda: harness.gate.active == 0)


async def test_options_are_checked_like_everywhere() -> None:
    async with running() as harness:
        bad = pb.LiveRequest(config=pb.LiveConfig(options=pb.ConvertOptions(style="nope")))
        call = harness.stub.LiveConvert(iter([bad]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert violation(caught.value) == "options.style"


async def test_a_gap_is_refused_and_the_session_goes_on() -> None:
    messages = CONFIG, edit(1, 0, 0, "a"), edit(3, 0, 0, "b")
    async with running() as harness, Caller(harness, *messages) as caller:
        rejected = (await caller.until("rejected")).rejected
        assert (rejected.revision, rejected.current_revision) == (3, 1)
        assert rejected.status.code == Code.FAILED_PRECONDITION.value[0]
        await caller.send(replace(4, "new"))
        await caller.until("done", 4)
        assert caller.view.text == "NEW"


async def test_a_paste_that_is_too_large_ends_only_its_own_call() -> None:
    async with running(max_message_bytes=100_000) as harness, Caller(harness, CONFIG) as other:
        async with Caller(harness, CONFIG) as caller:
            await caller.send(replace(1, "x" * 200_000))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await caller.rest()
            assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        await other.send(edit(1, 0, 0, "a"))
        await other.until("done", 1)
        assert other.view.text == "A"


async def test_a_long_text_is_cut_in_a_thread() -> None:
    async with running() as harness, Caller(harness, CONFIG, replace(1, "ab. " * 5_000)) as caller:
        await caller.until("done", 1)
        assert caller.view.text == "AB. " * 5_000


async def test_drain_answers_what_was_read_and_says_go_away() -> None:
    async with running() as harness, Caller(harness, CONFIG) as caller:
        token = (await caller.until("started")).started.resume_token
        harness.converter.hold.clear()
        await caller.send(edit(1, 0, 0, "abc. d"))
        await until(lambda: harness.converter.items == 2)
        harness.gate.close()
        harness.gate.end_streams()
        harness.converter.hold.set()
        away = (await caller.until("go_away")).go_away
        assert (away.resume_token, away.revision) == (token, 1)
        assert caller.view.text == "ABC. D"
        assert await caller.call.code() is Code.UNAVAILABLE


async def test_resume_keeps_finals() -> None:
    finals = [pb.FinalSegment(segment_id=4, start=0, end=5)]
    resume = pb.LiveResume(
        resume_token="token-1", revision=9, text="abc. de", finals=finals, next_segment_id=6
    )
    config = pb.LiveRequest(config=pb.LiveConfig(resume=resume))
    async with running() as harness, Caller(harness, config) as caller:
        await caller.until("done", 9)
        started = caller.events[0].started
        assert started.resume_token == "token-1"
        assert [result.segment_id for result in caller.results] == [6]
        assert [number for number, _ in caller.view._list] == [4, 6]
        await caller.send(edit(10, 7, 7, "f"))
        await caller.until("done", 10)


async def test_cancelled_calls_leave_nothing() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        async with Caller(harness, CONFIG, edit(1, 0, 0, "abc. d")):
            await until(lambda: harness.converter.items == 2)
        await until(lambda: harness.converter.cancelled == 2)
        await until(lambda: harness.gate.active == 0)


async def test_overload_is_waited_for() -> None:
    async with running() as harness:
        harness.converter.overloads = 3
        async with Caller(harness, CONFIG, edit(1, 0, 0, "a")) as caller:
            await caller.until("done", 1)
            assert caller.view.text == "A"


async def test_session_ends_at_whatever_moment_its_reader_fails() -> None:
    """Its worker waits for the next turn: it is told of an edit and cancelled, a few steps apart."""

    async def requests(steps: int) -> AsyncIterator[pb.LiveRequest]:
        yield CONFIG
        yield edit(1, 0, 0, "a")
        await asyncio.sleep(0.02)
        yield edit(2, 1, 1, "b")  # not urgent: it waits for the rest of a second
        await asyncio.sleep(0.02)
        yield edit(3, 2, 2, "c")
        for _ in range(steps):
            await asyncio.sleep(0)
        raise InvalidText("not a message")

    for steps in range(8):
        stream = LiveStream(
            FakeConverter(),  # type: ignore[arg-type]
            Call(rpc_id="1", method="LiveConvert", deadline=None),
            bounds=LiveBounds(interim_per_s=1),
            budget=LiveBudget(1000),
            styles=("modern",),
            glossaries=Glossaries(),
            model_revision="abc",
        )
        with pytest.raises(InvalidText):
            async with asyncio.timeout(2):
                async for _ in stream.responses(requests(steps)):
                    pass
