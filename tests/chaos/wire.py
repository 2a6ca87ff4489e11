"""gRPC by hand over HTTP/2: what the server really sent, and several times as many calls as with a library.

grpc.aio would not do: where a server ends a call while messages are being sent, it replaces the server's
status by INTERNAL (grpc/grpc#36066), which is just what we look for. RFC 9113 tells the frames.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from enum import IntEnum
from urllib.parse import unquote

import grpc
from hpack import Decoder
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from .http2 import PREFACE, framed
from .verdict import Answer


class Kind(IntEnum):
    """Of a frame, as far as they matter here."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    WINDOW_UPDATE = 8


END_STREAM, ACK = 1, 1
INITIAL_WINDOW_SIZE = 4
LONGEST_WINDOW = 2**31 - 1
LONGEST_FRAME = 16_384
MOST_BYTES = 60_000
"""Of what a call sends: one window is 65,535 bytes, and a call does not wait for another one."""
ROOM = 2**20
"""Bytes that the server may send between two of our window updates, and far more."""
STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class Wire(asyncio.Protocol):
    """One connection for any number of calls at a time.

    Args:
        window: Bytes of answers that the server may send per call; it is never told that there is room again.
    """

    def __init__(self, window: int = LONGEST_WINDOW) -> None:
        self._transport: asyncio.Transport
        self._window = window
        self._headers = Decoder()
        self._received = bytearray()
        self._next, self._room, self._taken = 1, 65_535, 0
        self._more_room = asyncio.Event()
        self.lost = asyncio.Event()
        self._calls: dict[int, _Call] = {}

    async def call(
        self, path: str, messages: Sequence[bytes], *, patience_s: float, first: bool = False
    ) -> Answer:
        """Send a call; `first` is content with the first message that comes back, and gives the call up."""
        data = b"".join(map(framed, messages))
        assert len(data) <= MOST_BYTES
        call = _Call(first)
        try:
            async with asyncio.timeout(patience_s):
                await self._converse(call, path, data)
        except TimeoutError:
            call.answer.code = grpc.StatusCode.DEADLINE_EXCEEDED
        return call.answer

    async def _converse(self, call: "_Call", path: str, data: bytes) -> None:
        while self._room < len(data) and not self._transport.is_closing():
            self._more_room.clear()
            await self._more_room.wait()
        if self._transport.is_closing():
            call.fail("the connection is lost")
            return
        self._room -= len(data)
        stream, self._next = self._next, self._next + 2
        self._calls[stream] = call
        try:
            self._transport.write(b"".join(_frames(stream, path, data)))
            await call.over.wait()
        finally:
            del self._calls[stream]
            if not call.ended_by_server:
                self._transport.write(RstStreamFrame(stream, error_code=8).serialize())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        room = LONGEST_WINDOW - 2**17  # of the connection, whose window is never 0 at first
        settings = struct.pack(">IBIHI", 6 << 8 | Kind.SETTINGS, 0, 0, INITIAL_WINDOW_SIZE, self._window)
        transport.write(PREFACE + settings + struct.pack(">IBII", 4 << 8 | Kind.WINDOW_UPDATE, 0, 0, room))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever still waits is told."""
        for call in self._calls.values():
            call.fail(f"the connection is lost ({exc})")
        self._more_room.set()
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Take whole frames out of what has come."""
        self._received += data
        at = 0
        while len(self._received) - at >= 9:
            word, flags, stream = struct.unpack_from(">IBI", self._received, at)
            end = at + 9 + (word >> 8)
            if end > len(self._received):
                break
            self._frame(word & 0xFF, flags, stream, bytes(self._received[at + 9 : end]))
            at = end
        del self._received[:at]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        call = self._calls.get(stream)
        match kind:
            case Kind.DATA:
                self._taken += len(payload)
                if self._taken >= ROOM:
                    update = struct.pack(">IBII", 4 << 8 | Kind.WINDOW_UPDATE, 0, 0, self._taken)
                    self._transport.write(update)
                    self._taken = 0
                if call:
                    call.take(payload)
            case Kind.HEADERS:
                fields = dict(self._headers.decode(payload))  # all of them: they are a state
                if call:
                    call.take_headers(fields, last=bool(flags & END_STREAM))
            case Kind.RST_STREAM if call:
                call.fail(f"reset with error {int.from_bytes(payload)}")
            case Kind.SETTINGS if not flags & ACK:
                self._transport.write(struct.pack(">IBI", Kind.SETTINGS, ACK, 0))
            case Kind.PING if not flags & ACK:
                self._transport.write(struct.pack(">IBI", 8 << 8 | Kind.PING, ACK, 0) + payload)
            case Kind.WINDOW_UPDATE if stream == 0:
                self._room += int.from_bytes(payload)
                self._more_room.set()


class _Call:
    def __init__(self, first: bool) -> None:
        self.answer = Answer()
        self.over = asyncio.Event()
        self.ended_by_server = False
        self._first = first
        self._data = bytearray()

    def take(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= 5 and len(self._data) >= (end := 5 + int.from_bytes(self._data[1:5])):
            self.answer.messages.append(bytes(self._data[5:end]))
            del self._data[:end]
            if self._first:
                self.over.set()

    def take_headers(self, fields: dict[str, str], *, last: bool) -> None:
        if not last:
            return
        self.ended_by_server = True
        self.answer.code = STATUSES[int(fields.get("grpc-status", "2"))]
        self.answer.details = unquote(fields.get("grpc-message", ""))
        self.over.set()

    def fail(self, why: str) -> None:
        if not self.over.is_set():
            self.ended_by_server = True
            self.answer.code, self.answer.details = grpc.StatusCode.UNAVAILABLE, why
            self.over.set()


@asynccontextmanager
async def connected(address: str, *, window: int = LONGEST_WINDOW) -> AsyncIterator[Wire]:
    """A connection to HOST:PORT, from another address than honest callers, who have a share of their own."""
    host, _, port = address.rpartition(":")
    transport, wire = await asyncio.get_running_loop().create_connection(
        lambda: Wire(window), host, int(port), local_addr=("127.0.0.2", 0)
    )
    try:
        yield wire
    finally:
        transport.abort()
        await wire.lost.wait()


def _frames(stream: int, path: str, data: bytes) -> Iterator[bytes]:
    yield HeadersFrame(stream, data=_header_block(path), flags=["END_HEADERS"]).serialize()
    for at in range(0, len(data), LONGEST_FRAME):
        piece = data[at : at + LONGEST_FRAME]
        flags = ["END_STREAM"] if at + LONGEST_FRAME >= len(data) else []
        yield DataFrame(stream, data=piece, flags=flags).serialize()


def _header_block(path: str) -> bytes:
    """Headers that HPACK neither looks up nor remembers."""
    fields = {
        ":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
        "content-type": "application/grpc", "te": "trailers", "grpc-timeout": "3600S",
    }  # fmt: skip
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
