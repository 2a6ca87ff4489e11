"""Driving a `StreamWindow` over grpc.aio: one task feeds, one sends, the caller's task receives.

    texts --feed--> window --send--> server --receive--> results

`sync_stream.py` does the same with threads. What is subtle, in both:
- A slow caller takes no results, hence no room is made, hence no more input is read.
- The input may pause for ever (someone is typing). So a group is sent as soon as it holds anything,
  and silence of the server counts against it only while it owes an answer.
- gRPC does not end a request iterator that waits for input when the call fails. So there is none
  here: a task writes, and is cancelled with its call.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import TypeAlias

import grpc

from hanjaserve.client.access import Metadata
from hanjaserve.client.errors import ConvertError, Internal, Unavailable, error_from_rpc
from hanjaserve.client.options import ConvertOptions
from hanjaserve.client.requests import stream_config
from hanjaserve.client.results import Limits, Result
from hanjaserve.client.retry import Attempts, RetryPolicy
from hanjaserve.client.stubs import AioStub
from hanjaserve.client.window import StreamWindow, cut_short, stalled
from hanjaserve.v1 import hanjaserve_pb2 as pb

_Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.StreamConvertRequest, pb.StreamConvertResponse]"


class AioStream:
    """One `convert_stream` over grpc.aio, however many calls it takes."""

    def __init__(
        self,
        stub: AioStub,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        options: ConvertOptions,
        limits: Limits,
        metadata: Metadata,
        retry: RetryPolicy,
        stall_s: float,
    ) -> None:
        self._stub = stub
        self._texts = texts
        self._config = stream_config(options)
        self._metadata = metadata
        self._attempts = Attempts(retry, timeout_s=None)
        self._stall_s = stall_s
        self._window = StreamWindow(limits, options)
        self._ended = False
        self._room = asyncio.Event()
        self._work = asyncio.Event()

    async def results(self) -> AsyncGenerator[Result, None]:
        """Yield one result per text, in order; an error of the input comes after them."""
        feeding = asyncio.create_task(self._feed())
        try:
            while not (self._ended and self._window.unanswered == 0):
                try:
                    async for result in self._call():
                        yield result
                except ConvertError as error:
                    await asyncio.sleep(self._attempts.delay_after(error))
                    self._window.restart()
            await feeding
        finally:
            await cancelled(feeding)

    async def _feed(self) -> None:
        try:
            async for text in _async_iterator(self._texts):
                self._window.add(text)
                self._work.set()
                while self._window.room <= 0:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._work.set()

    async def _send(self, call: _Call) -> None:
        await call.write(self._config)
        while True:
            while self._window.has_unsent:
                await call.write(self._window.next_group(time.monotonic()))
            if self._ended:
                break
            self._work.clear()
            await self._work.wait()
        await call.done_writing()

    async def _call(self) -> AsyncIterator[Result]:
        """One call: send what is unsent, and yield results until all is answered."""
        call = self._stub.StreamConvert(metadata=tuple(self._metadata))
        sending = asyncio.create_task(self._send(call))
        try:
            while (response := await self._read(call)) is not None:
                results = self._window.answer(response, time.monotonic())
                if results:
                    self._attempts.progressed()
                self._room.set()
                for result in results:
                    yield result
        except grpc.RpcError as error:
            raise known_cause(error_from_rpc(error)) from error
        finally:
            await cancelled(sending)
            call.cancel()
        if not self._ended or self._window.unanswered:
            raise cut_short(self._window.unanswered)

    async def _read(self, call: _Call) -> pb.StreamConvertResponse | None:
        """The next message; None at the end of the stream."""
        # The caller's own pauses between two reads do not count against the server.
        started = time.monotonic()
        reading = asyncio.ensure_future(call.read())
        try:
            while True:
                now = time.monotonic()
                silent_s = min(self._window.waiting_s(now), now - started)
                if silent_s >= self._stall_s:
                    raise stalled(self._stall_s, self._window.unanswered)
                await asyncio.wait({reading}, timeout=self._stall_s - silent_s)
                if reading.done():
                    response = reading.result()
                    return response if isinstance(response, pb.StreamConvertResponse) else None
        finally:
            reading.cancel()


def known_cause(error: ConvertError) -> ConvertError:
    """Undo grpc/grpc#36066: a write that fails because the server has just ended the call.

    grpc.aio then replaces the server's status by one of its own. What it was is lost, so the stream
    is tried again: if the server meant it, it will say so again.
    """
    if isinstance(error, Internal) and error.message == "Internal error from Core":
        return Unavailable("the server ended the stream while texts were being sent")
    return error


async def _async_iterator(texts: Iterable[str] | AsyncIterable[str]) -> AsyncIterator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it is gone, whatever it ends with."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
