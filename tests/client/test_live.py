"""The live client against real servers that come and go."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from hanjaserve.client import (
    Client,
    InvalidRequest,
    LiveSegment,
    RetryPolicy,
    RevisionRejected,
    RevisionsDone,
    SegmentsInvalidated,
    SessionResumed,
    Unavailable,
)
from hanjaserve.client.live_mailbox import Mailbox
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1 import hanjaserve_pb2_grpc
from tests.e2e.process import ServerProcess
from tests.support.tiny import convert

PATIENT = RetryPolicy(max_attempts=400, initial_delay_s=0.05, max_delay_s=0.3)


@pytest.fixture(scope="module")
def address(tiny_bundle: Path) -> AsyncIterator[str]:
    with ServerProcess(tiny_bundle, "--max-live-code-points", "2000") as running:
        yield running.address  # type: ignore[misc]


async def test_typing(address: str) -> None:
    async with Client(address) as client, client.live(rendering="hangul-hanja") as live:
        await live.edit(0, 0, "수도는")
        await live.flush()
        assert live.text == "수도(首都)는"
        await live.edit(0, 0, "상")
        await live.edit(4, 4, " 물. 학교")
        await live.commit()
        assert live.source == "상수도는 물. 학교"
        assert live.text == "상수도(水道)는 물. 학교(學校)"
        assert [segment.is_final for segment in live.view.segments()] == [True, True]
        await live.replace("음악")
    assert live.text == "음악(音樂)"


async def test_events(address: str) -> None:
    found = []
    async with Client(address) as client, client.live() as live:
        await live.edit(0, 0, "학교. 수도")
        await live.commit()
        await live.edit(0, 2, "음악")
        await live.flush()
        async for event in live.events():
            found.append(event)
            if isinstance(event, RevisionsDone):
                break
    kinds = [type(event) for event in found]
    assert SegmentsInvalidated in kinds
    texts = {event.id: event.text for event in found if isinstance(event, LiveSegment)}
    assert list(texts.values()) == ["首都", "音樂. "] or list(texts.values()) == ["音樂. ", "首都"]


async def test_refusals(address: str) -> None:
    async with Client(address) as client:
        with pytest.raises(InvalidRequest, match="baroque"):
            async with client.live(style="baroque"):
                pass
        async with client.live() as live:
            with pytest.raises(InvalidRequest, match=r"\[1, 1\)"):
                await live.edit(1, 1, "가")
            for too_long in (live.edit(0, 0, "가" * 2001), live.replace("가" * 2001)):
                with pytest.raises(InvalidRequest, match="2001 code points, the limit is 2000"):
                    await too_long
            await live.edit(0, 0, "수도")
            live._document.max_code_points = 10**6  # as if another server had said so
            await live.edit(0, 0, "가" * 2001)
            with pytest.raises(InvalidRequest, match="2003 code points, the limit is 2000"):
                await live.commit()
            async for event in live.events():
                if isinstance(event, RevisionRejected):  # the result of what was not refused may come before
                    break
            await live.replace("수도")
            await live.commit()
            assert live.text == "首都"
        with pytest.raises(InvalidRequest, match="has not begun"):
            await client.live().edit(0, 0, "가")


@asynccontextmanager
async def server(bundle: Path, port: int) -> AsyncIterator[ServerProcess]:
    process = ServerProcess(bundle, "--port", str(port), "--grace-s", "1")
    await asyncio.to_thread(process.__enter__)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.__exit__, None, None, None)


async def test_a_session_that_has_begun_is_patient_by_itself(tiny_bundle: Path) -> None:
    """A call gives up after a second and a half; a document in an editor must not."""
    async with server(tiny_bundle, 0) as first:
        address = first.address
        client = Client(address)
        live = client.live()
        await live.__aenter__()
        await live.edit(0, 0, "수도")
    await asyncio.sleep(2.5)
    await live.edit(2, 2, "!")
    async with client, server(tiny_bundle, int(address.rpartition(":")[2])):
        await live.commit()
        assert live.text == "首都!"
        await live.__aexit__(None, None, None)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_session_outlives_its_server(tiny_bundle: Path, how: signal.Signals) -> None:
    """Finals are told once, and nothing that was typed is lost, while the server is away and after."""
    finals: list[LiveSegment] = []
    resumed = 0
    async with server(tiny_bundle, 0) as first:
        address = first.address
        client = Client(address, retry=PATIENT)
        live = client.live()
        await live.__aenter__()

        async def listen() -> None:
            nonlocal resumed
            async for event in live.events():
                if isinstance(event, LiveSegment) and event.is_final:
                    finals.append(event)
                resumed += isinstance(event, SessionResumed)

        listening = asyncio.create_task(listen())
        await live.edit(0, 0, "학교. 수도. 음")
        await live.flush()
        first.signal(how)
        await asyncio.to_thread(first.wait)
        await live.edit(len(live.source), len(live.source), "악. 과")
    async with server(tiny_bundle, int(address.rsplit(":", 1)[1])):
        await live.edit(len(live.source), len(live.source), "학. 상수도")
        await live.__aexit__(None, None, None)
        await listening
    assert live.text == convert("학교. 수도. 음악. 과학. 상수도")
    assert [segment.text for segment in finals] == ["學校. ", "首都. ", "音樂. ", "科學. ", "상水道"]
    assert resumed >= 1
    await client.close()


class Forgetful(hanjaserve_pb2_grpc.HanjaServiceServicer):
    """Hangs up at the first flush, whatever was asked for; answers the second one."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def LiveConvert(self, requests: Any, context: Any) -> Any:
        kinds: list[str] = []
        self.calls.append(kinds)
        async for request in requests:
            kinds.append(request.WhichOneof("message"))
            if kinds == ["config"]:
                yield pb.LiveResponse(events=[pb.LiveEvent(started=pb.LiveStarted(resume_token="t"))])
            elif kinds[-1] == "flush":
                if len(self.calls) == 1:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
                done = pb.RevisionDone(revision=1, first_revision=1)
                yield pb.LiveResponse(events=[pb.LiveEvent(done=done)])


async def test_a_flush_is_sent_again_over_a_new_connection() -> None:
    service, server = Forgetful(), grpc.aio.server()
    hanjaserve_pb2_grpc.add_HanjaServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(f"127.0.0.1:{port}", retry=PATIENT) as client, client.live() as live:
        await live.edit(0, 0, "수도")
        await live.flush(timeout_s=10)
    assert service.calls == [["config", "edit", "flush"], ["config", "flush"]]
    await server.stop(None)


async def test_without_a_server() -> None:
    quick = RetryPolicy(max_attempts=2, initial_delay_s=0.01)
    async with Client("127.0.0.1:1", retry=quick) as client:
        with pytest.raises(Unavailable):
            async with client.live():
                pass


def segment(number: int, text: str, *, is_final: bool = False) -> LiveSegment:
    return LiveSegment(id=number, revision=1, start=0, end=1, text=text, is_final=is_final)


def test_mailbox_keeps_the_newest_of_each() -> None:
    box = Mailbox()
    for event in [
        segment(1, "a"), segment(2, "b", is_final=True), segment(1, "c"), RevisionsDone(first=1, revision=2),
        SegmentsInvalidated(ids=(2,)), segment(2, "d"), RevisionsDone(first=3, revision=5),
        SegmentsInvalidated(ids=(1, 2)), segment(2, "e"),
    ]:  # fmt: skip
        box.put(event)
    found = []
    while box:
        found.append(box.take())
    assert found == [SegmentsInvalidated(ids=(2, 1)), RevisionsDone(first=1, revision=5), segment(2, "e")]
