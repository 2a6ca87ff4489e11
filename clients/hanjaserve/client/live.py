"""A live session for asyncio: type into it, and read what it is converted to.

    async with client.live(rendering="hangul-hanja") as live:
        await live.edit(0, 0, "수도는 서울이다")
        await live.commit()
        live.text                                   # 수도(首都)는 서울이다

One task holds the connection. When it is lost, or the server says that it goes away, the task connects again
and goes on: the caller notices at most a `SessionResumed`. What both sides must agree on (`live_view`,
`live_document`) is pure and has its own tests.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from hanjaserve.client.access import Metadata
from hanjaserve.client.aio_stream import cancelled, known_cause
from hanjaserve.client.errors import (
    ConvertError,
    DeadlineExceeded,
    InvalidRequest,
    Unavailable,
    error_from_rpc,
)
from hanjaserve.client.live_document import LiveDocument, Splice
from hanjaserve.client.live_mailbox import Mailbox
from hanjaserve.client.live_view import LiveEvent, LiveView, RevisionRejected, SessionResumed
from hanjaserve.client.observer import Observer
from hanjaserve.client.options import ConvertOptions
from hanjaserve.client.requests import check_text
from hanjaserve.client.retry import Attempts, RetryPolicy
from hanjaserve.client.stubs import AioStub
from hanjaserve.v1 import hanjaserve_pb2 as pb

_Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.LiveRequest, pb.LiveResponse]"


class LiveSession:
    """A document that is converted while it is edited. Made by `Client.live`; an async context manager.

    Leaving the block makes every segment final and waits until all results are there; leaving it by an
    exception ends the session at once.

    Attributes:
        view: What the document is converted to so far, segment by segment.
    """

    def __init__(
        self,
        stub: AioStub,
        *,
        options: ConvertOptions,
        by_line: bool,
        finals_only: bool,
        max_interim_per_s: int,
        metadata: Metadata,
        observer: Observer,
        retry: RetryPolicy,
        resuming: RetryPolicy,
        timeout_s: float,
    ) -> None:
        self.view = LiveView()
        self._stub = stub
        self._config = pb.LiveConfig(
            options=options.to_proto(),
            segmentation=pb.SEGMENTATION_LINE if by_line else pb.SEGMENTATION_SENTENCE,
            finals_only=finals_only,
            max_interim_per_s=max_interim_per_s,
        )
        self._metadata = metadata
        self._observer = observer
        self._attempts = Attempts(retry, timeout_s=None)
        self._resuming = resuming
        self._timeout_s = timeout_s
        self._document = LiveDocument()
        self._token = ""
        self._commit = self._flush = self._replaced = 0
        self._connected = False
        self._closing = False
        self._refusal: ConvertError | None = None
        self._outgoing: deque[pb.LiveRequest] = deque()
        self._mailbox = Mailbox()
        self._work = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    # ---- what a caller does

    @property
    def source(self) -> str:
        """The document as it was typed."""
        return self._document.text

    @property
    def revision(self) -> int:
        """The last revision that was made."""
        return self._document.revision

    @property
    def text(self) -> str:
        """The converted document, as far as results are there."""
        return self.view.text

    async def edit(self, start: int, end: int, text: str) -> None:
        """Replace [start, end) of the document, in code points; an insertion if both are equal.

        Raises:
            InvalidRequest: The offsets are not in the document, or the text is none.
            ConvertError: The session has ended, or refused an edit: then `replace` goes on.
        """
        await self.edit_places([Splice(start=start, end=end, text=text)])

    async def edit_places(self, splices: Sequence[Splice]) -> None:
        """Change several places at once; all offsets count in the document as it is. See `edit`."""
        self._check()
        for splice in splices:
            check_text(splice.text)
        self._send(self._document.edit(splices))

    async def replace(self, text: str) -> None:
        """Make this the document; segments that stay the same are not converted again. See `edit`."""
        check_text(text)
        self._check_running()
        message = self._document.replace(text)
        self._refusal = None
        self._replaced = self._document.revision
        self._send(message)

    async def commit(self, *, timeout_s: float | None = None) -> None:
        """Make every segment final, and wait for the results."""
        self._check()
        message = self._document.commit()
        self._commit = self._document.revision
        self._send(message)
        await self._until(lambda: self.view.done >= self._commit, timeout_s)

    async def flush(self, *, timeout_s: float | None = None) -> None:
        """Have everything converted that was typed, and wait for the results."""
        self._check()
        wanted = self._flush = self._document.revision
        self._send(pb.LiveRequest(flush=pb.LiveFlush()))
        await self._until(lambda: self.view.done >= wanted, timeout_s)

    async def events(self) -> AsyncIterator[LiveEvent]:
        """Yield what happens, until the session ends: results, invalidations, revisions that are done.

        Of a segment whose results come faster than they are taken, the newest one is yielded.
        """
        while True:
            while self._mailbox:
                yield self._mailbox.take()
            if self._task is None or self._task.done():
                self._check()
                return
            await self._until_news()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._tell())
        await self._until(lambda: bool(self._token), None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._task is not None
        try:
            if error is None and not self._task.done():
                self._closing = True
                self._work.set()
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.shield(self._task)
        except TimeoutError:
            raise self._too_late(self._timeout_s) from None
        finally:
            await cancelled(self._task)

    # ---- helpers of the caller's side

    def _send(self, message: pb.LiveRequest) -> None:
        # Without a connection there is nothing to queue for: the next one begins with the document.
        if self._connected:
            self._outgoing.append(message)
            self._work.set()

    def _check(self) -> None:
        self._check_running()
        if self._refusal is not None:
            raise self._refusal

    def _check_running(self) -> None:
        if self._task is None:
            raise InvalidRequest("the session has not begun: use `async with client.live() as live`")
        if self._task.done() and not self._task.cancelled() and (error := self._task.exception()):
            raise error

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None) -> None:
        limit = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    self._check()
                    if self._task is not None and self._task.done():
                        raise Unavailable("the session has ended")
                    await self._until_news()
        except TimeoutError:
            raise self._too_late(limit) from None

    async def _until_news(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _too_late(self, limit: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"revision {self._document.revision} was not converted within {limit:g} s")

    # ---- the connection

    async def _run(self) -> None:
        with self._observer.call(pb.LiveRequest) as headers:
            while True:
                try:
                    await self._call((*self._metadata, *headers))
                    return
                except ConvertError as error:
                    await asyncio.sleep(self._attempts.delay_after(error))

    async def _call(self, metadata: Metadata) -> None:
        """One call, from config to half-close.

        Raises:
            ConvertError: It ended too soon.
        """
        call = self._stub.LiveConvert(metadata=tuple(metadata))
        self._begin()
        sending = asyncio.create_task(self._write(call))
        try:
            while isinstance(response := await call.read(), pb.LiveResponse):
                self._attempts.progressed()
                self._receive(response)
            if not self._closing:
                raise Unavailable("the server ended the session")
        except grpc.RpcError as error:
            raise known_cause(error_from_rpc(error)) from error
        finally:
            self._connected = False
            await cancelled(sending)
            call.cancel()

    def _begin(self) -> None:
        """Queue what a connection begins with: the config, and the document if there is one already."""
        self._outgoing.clear()
        config = pb.LiveConfig()
        config.CopyFrom(self._config)
        if self._token:
            config.resume.CopyFrom(self._document.resume(self.view, self._token))
            self.view.restart({final.segment_id for final in config.resume.finals})
            self._mailbox.put(SessionResumed(revision=self._document.revision))
            self._tell()
        self._outgoing.append(pb.LiveRequest(config=config))
        self._connected = True
        if self._commit > self.view.done:
            self._outgoing.append(self._document.commit())
            self._commit = self._document.revision
        if self._flush > self.view.done:
            self._outgoing.append(pb.LiveRequest(flush=pb.LiveFlush()))
        self._work.set()

    async def _write(self, call: _Call) -> None:
        while True:
            while self._outgoing:
                await call.write(self._outgoing.popleft())
            if self._closing:
                break
            self._work.clear()
            await self._work.wait()
        await call.done_writing()

    def _receive(self, response: pb.LiveResponse) -> None:
        for event in response.events:
            if event.HasField("started"):
                if not self._token:
                    self._attempts = Attempts(self._resuming, timeout_s=None)
                self._token = event.started.resume_token
                self._document.max_code_points = event.started.limits.max_code_points or sys.maxsize
            elif event.HasField("go_away"):
                self._token = event.go_away.resume_token
            elif (found := self.view.apply(event)) is not None:
                # What was sent before a replace may be refused after it, which matters no more.
                if isinstance(found, RevisionRejected) and found.revision > self._replaced:
                    self._refusal = self._refusal or found.error
                self._mailbox.put(found)
        self._document.forget(self.view.done)
        self._tell()
