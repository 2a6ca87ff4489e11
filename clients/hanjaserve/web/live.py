"""LiveConvert over a WebSocket, message by message.

    binary frames   a LiveRequest from the browser, a LiveResponse from the server
    text frames     "half-close" from the browser; from the bridge, once and last, how the call ended:
                    {"code": "UNAVAILABLE", "message": "...", "retryAfterMs": 500}

WebSocket has no half-close, and its close reason holds 123 bytes: hence the text frames. Whoever reads
slowly is written to slowly, both ways; nothing is queued in between.
"""

import asyncio
import json
from contextlib import suppress

import grpc
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from hanjaserve.client.errors import ConvertError, InvalidRequest, Overloaded
from hanjaserve.web.upstream import LiveCall, Upstream

HALF_CLOSE = "half-close"
MAX_MESSAGE_BYTES = 32 * 2**20
"""Twice what a server takes by default, so that it is the server who says what is too much: beyond this one,
the connection is cut."""
MAX_SESSIONS = 64
"""Pages that are open at a time."""
HEARTBEAT_S = 20.0
"""A browser that is gone is noticed within one and a half of these."""
CLOSING_S = 1.0
"""What a browser gets to answer that its socket is closed."""
FULL_RETRY_S = 2.0


class LiveBridge:
    """Joins WebSockets to LiveConvert calls."""

    def __init__(self, upstream: Upstream, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._upstream = upstream
        self._max_sessions = max_sessions
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one WebSocket, from handshake to close."""
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE_BYTES, heartbeat=HEARTBEAT_S, timeout=CLOSING_S, compress=False
        )
        await socket.prepare(request)
        if len(self._sockets) >= self._max_sessions:
            message = f"{self._max_sessions} pages are open already: close one"
            await _tell(socket, Overloaded(message, retry_after_s=FULL_RETRY_S))
            return socket
        self._sockets.add(socket)
        try:
            # A call that was cancelled, because the browser is gone, ends without a word to it.
            with suppress(ConnectionError):
                await _tell(socket, await self._join(socket))
        finally:
            self._sockets.discard(socket)
        return socket

    async def close(self, _: web.Application) -> None:
        """Close every socket, since the bridge ends."""
        why = b"hanjaserve web has ended"
        closing = [socket.close(code=WSCloseCode.GOING_AWAY, message=why) for socket in self._sockets]
        await asyncio.gather(*closing)

    async def _join(self, socket: web.WebSocketResponse) -> ConvertError | None:
        """Pass messages on until either side ends; why it ended, None if all is well.

        Raises:
            ConnectionError: The browser is gone.
        """
        call = self._upstream.live()
        asking = asyncio.create_task(_ask(socket, call))
        answering = asyncio.create_task(_answer(call, socket))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            # If the call has ended, what could not be written to it any more is no news.
            await (answering if answering.done() or _is_late(asking) else asking)
            return None
        except grpc.RpcError as error:
            return self._upstream.error(error)
        except ConvertError as error:
            return error
        finally:
            for task in (asking, answering):
                task.cancel()
            call.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)


async def _ask(socket: web.WebSocketResponse, call: LiveCall) -> None:
    """Browser to server.

    Raises:
        ConnectionError: The browser is gone.
        InvalidRequest: It sent what is not of the protocol.
        grpc.RpcError: The call has failed.
        asyncio.InvalidStateError: The call has ended.
    """
    half_closed = False
    async for frame in socket:
        message: WSMessage = frame
        if half_closed:
            raise InvalidRequest(f"a message came after {HALF_CLOSE!r}: send that last")
        if message.type is WSMsgType.BINARY:
            await call.write(message.data)
        elif message.type is WSMsgType.TEXT and message.data == HALF_CLOSE:
            await call.done_writing()
            half_closed = True
        elif message.type is WSMsgType.TEXT:
            raise InvalidRequest(f"a text frame is not {HALF_CLOSE!r}: send messages in binary frames")
    raise ConnectionError("the browser has closed the socket")


async def _answer(call: LiveCall, socket: web.WebSocketResponse) -> None:
    """Server to browser, until the call ends.

    Raises:
        ConnectionError: The browser is gone.
        grpc.RpcError: The call has failed.
    """
    while isinstance(message := await call.read(), bytes):
        await socket.send_bytes(message)


def _is_late(asking: "asyncio.Task[None]") -> bool:
    """Whether it failed only because the call had ended."""
    return asking.done() and isinstance(asking.exception(), asyncio.InvalidStateError)


async def _tell(socket: web.WebSocketResponse, error: ConvertError | None) -> None:
    """Send how the call ended, and close."""
    status: dict[str, object] = {"code": error.code.name if error else "OK"}
    if error is not None:
        status["message"] = error.message
    if isinstance(error, Overloaded) and error.retry_after_s is not None:
        status["retryAfterMs"] = round(1000 * error.retry_after_s)
    await socket.send_str(json.dumps(status, ensure_ascii=False))
    await socket.close()
