"""LiveConvert over a WebSocket: what goes through, and what is said when something is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hanjaserve.client import Client
from hanjaserve.client.access import Access
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.web.live import HALF_CLOSE, MAX_MESSAGE_BYTES, LiveBridge
from hanjaserve.web.site import listening
from hanjaserve.web.upstream import Upstream

CONFIG = pb.LiveRequest(config=pb.LiveConfig(offset_unit=pb.OFFSET_UNIT_UTF16))
TEXT = "대한민국의 수도. 😀 상수도"


def edit(revision: int, start: int, end: int, text: str) -> pb.LiveRequest:
    splice = pb.Splice(start=start, end=end, text=text)
    return pb.LiveRequest(edit=pb.LiveEdit(revision=revision, splices=[splice]))


async def told(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[pb.LiveEvent], dict[str, object]]:
    """All events, and how the call ended."""
    events: list[pb.LiveEvent] = []
    async for frame in socket:
        if frame.type is aiohttp.WSMsgType.TEXT:
            status: dict[str, object] = json.loads(frame.data)
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            return events, status
        events += pb.LiveResponse.FromString(frame.data).events
    raise AssertionError(f"closed without a word: {socket.close_code}")


async def test_a_session(site: str, address: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{site}live") as socket:
        # The face is two units of UTF-16.
        for message in (CONFIG, edit(1, 0, 0, TEXT[:-1]), edit(2, len(TEXT), len(TEXT), TEXT[-1])):
            await socket.send_bytes(message.SerializeToString())
        await socket.send_str(HALF_CLOSE)
        events, status = await told(socket)
    assert status == {"code": "OK"}
    finals = [event.result.text for event in events if event.result.is_final]
    async with Client(address) as client:
        assert "".join(finals) == (await client.convert(TEXT)).text != TEXT


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([b"\xff\xff"], "not valid protobuf"),
        ([edit(1, 0, 0, "가").SerializeToString()], "send config first"),
        (["hello"], "send messages in binary frames"),
        ([CONFIG.SerializeToString(), HALF_CLOSE, b""], "a message came after 'half-close'"),
        ([HALF_CLOSE], "before its config came"),
    ],
)
async def test_bad_frames(
    site: str, http: aiohttp.ClientSession, frames: list[bytes | str], message: str
) -> None:
    async with http.ws_connect(f"{site}live") as socket:
        for frame in frames:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        _, status = await told(socket)
    assert status["code"] == "INVALID_ARGUMENT"
    assert message in str(status["message"])


async def test_a_message_that_is_too_large(site: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{site}live") as socket:
        await socket.send_bytes(bytes(16 * 2**20 + 1))
        _, status = await told(socket)
    assert status["code"] == "RESOURCE_EXHAUSTED"
    assert "larger than max" in str(status["message"])
    with suppress(ConnectionError):  # what it does not read any more may break the connection
        async with http.ws_connect(f"{site}live") as socket:
            await socket.send_bytes(bytes(MAX_MESSAGE_BYTES + 1))
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    async with http.get(site) as answer:
        assert answer.status == 200, "others don't notice"


async def test_without_a_server(away: str, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{away}live") as socket:
        await socket.send_bytes(CONFIG.SerializeToString())
        assert await told(socket) == ([], {
            "code": "UNAVAILABLE",
            "message": "no server at 127.0.0.1:1: start one with `hanjaserve serve`",
        })  # fmt: skip


class SilentCall:
    """A call whose server says nothing."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def read(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    def cancel(self) -> None:
        self.cancelled.set()


class SilentUpstream:
    """A server that says nothing."""

    def __init__(self) -> None:
        self.calls: list[SilentCall] = []

    def live(self) -> SilentCall:
        self.calls.append(SilentCall())
        return self.calls[-1]


@asynccontextmanager
async def silent(max_sessions: int) -> AsyncIterator[tuple[SilentUpstream, str]]:
    upstream, app = SilentUpstream(), web.Application()
    bridge = LiveBridge(upstream, max_sessions=max_sessions)  # type: ignore[arg-type]
    app.add_routes([web.get("/live", bridge.handle)])
    async with TestServer(app) as server:
        yield upstream, str(server.make_url("/live"))


async def test_a_browser_that_goes_ends_its_call(http: aiohttp.ClientSession) -> None:
    async with silent(max_sessions=1) as (upstream, url):
        for number in range(2):  # the second one finds the place of the first
            async with http.ws_connect(url):
                pass
            await asyncio.wait_for(upstream.calls[number].cancelled.wait(), 5)


async def test_too_many_pages(http: aiohttp.ClientSession) -> None:
    async with silent(max_sessions=1) as (_, url), http.ws_connect(url), http.ws_connect(url) as second:
        assert (await told(second))[1] == {
            "code": "RESOURCE_EXHAUSTED",
            "message": "1 pages are open already: close one",
            "retryAfterMs": 2000,
        }


@pytest.mark.parametrize("listens", [True, False])
async def test_pages_are_told_that_the_command_ends(
    address: str, http: aiohttp.ClientSession, listens: bool
) -> None:
    async with Upstream(Access(target=address)) as upstream:
        async with listening(upstream, 0) as url:
            socket = await http.ws_connect(f"{url}live")
            reading = asyncio.create_task(socket.receive()) if listens else None
        if reading:
            assert (await reading).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
