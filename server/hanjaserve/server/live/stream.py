"""One LiveConvert call: a reader, a worker and a writer around a session.

    reader:  messages -> session
    worker:  session -> turn -> converter -> session, one turn at a time
    writer:  session -> events -> client

One turn at a time is what makes the newest text win: whatever is typed while a turn runs is in the next one,
once. It also bounds what a session can ask of the server. A client that edits faster than it may is read more
slowly; HTTP/2 flow control carries that back to it.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from hanjaserve.server.assembly import Conversion
from hanjaserve.server.callers import Bucket
from hanjaserve.server.converter import TextConverter
from hanjaserve.server.entry import Priority
from hanjaserve.server.errors import BadOption, Draining, HanjaserveError, Overloaded
from hanjaserve.server.gate import Call
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.live.conversions import TURN_CODE_POINTS, Turn
from hanjaserve.server.live.session import LiveSession
from hanjaserve.server.live.settings import LiveBounds, LiveBudget, LiveSettings
from hanjaserve.server.messages import check_parsed
from hanjaserve.v1 import hanjaserve_pb2 as pb

T = TypeVar("T")

MESSAGE_BYTES = 256 * 1024
"""Events are joined into messages up to this size."""
LONG_TEXT = 16_384
"""Code points that take too long to cut on the event loop."""


class LiveStream:
    """The tasks of one LiveConvert call."""

    def __init__(
        self,
        converter: TextConverter,
        call: Call,
        *,
        bounds: LiveBounds,
        budget: LiveBudget,
        styles: Sequence[str],
        glossaries: Glossaries,
        model_revision: str,
    ) -> None:
        self._converter = converter
        self._call = call
        self._bounds = bounds
        self._budget = budget
        self._styles = styles
        self._glossaries = glossaries
        self._model_revision = model_revision
        self._session: LiveSession | None = None
        # Held while a long text is cut in a thread, and by whoever else touches the session.
        self._free = asyncio.Lock()
        self._changed = asyncio.Event()
        self._work = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False

    async def responses(self, requests: AsyncIterator[pb.LiveRequest]) -> AsyncIterator[pb.LiveResponse]:
        """Yield what the client is to be told, until it half-closes or the session ends.

        Raises:
            RequestError: The messages do not follow the protocol.
            HanjaserveError: Whatever else ends the session.
        """
        self._reader = asyncio.create_task(self._read(requests))
        worker = asyncio.create_task(self._convert())
        self._tasks = [self._reader, worker]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._changed.set())
        try:
            async for message in self._told(self._reader, worker):
                yield message
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._session is not None:
                self._session.close()

    def stop_reading(self) -> None:
        """End the session once everything read so far is answered: the server shuts down."""
        self._draining = True
        if self._reader is not None:
            self._reader.cancel()
        self._changed.set()

    async def _told(
        self, reader: asyncio.Task[None], worker: asyncio.Task[None]
    ) -> AsyncIterator[pb.LiveResponse]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if worker.done():
                await worker
            failed = reader.done() and not reader.cancelled() and reader.exception() is not None
            over = reader.done() and (failed or self._session is None or self._session.settled)
            async with self._free:
                events = await self._take()
            for message in _messages(events):
                yield message
            if over:
                if self._draining and reader.cancelled() and self._session is not None:
                    yield pb.LiveResponse(events=[self._session.go_away()])
                await self._end(reader)
                return

    async def _take(self) -> list[pb.LiveEvent]:
        session = self._session
        if session is None:
            return []
        return await asyncio.to_thread(session.take) if session.outbox.is_long else session.take()

    async def _end(self, reader: asyncio.Task[None]) -> None:
        try:
            await reader
        except asyncio.CancelledError:
            if not self._draining:
                raise
            raise Draining("the server is shutting down: resume the session on another one") from None

    # ---- reader

    async def _read(self, requests: AsyncIterator[pb.LiveRequest]) -> None:
        edits = Bucket(self._bounds.edits_per_s, time.monotonic())
        async for message in requests:
            check_parsed(message)
            self._call.items += 1
            async with self._free:
                await self._take_in(message)
            self._wake()
            edits.take(1, time.monotonic())
            if wait := edits.wait_s(time.monotonic()):
                await asyncio.sleep(wait)
        if self._session is None:
            raise BadOption("config", "the call ended before its config came: send it first")
        async with self._free:
            self._session.end_input()
        self._wake()

    async def _take_in(self, message: pb.LiveRequest) -> None:
        session = self._session
        if session is None:
            if not message.HasField("config"):
                raise BadOption("config", f"{message.WhichOneof('message')} came first: send config first")
            await self._maybe_in_thread(len(message.config.resume.text), self._start, message.config)
        else:
            await self._maybe_in_thread(_text_of(message), session.receive, message)

    async def _maybe_in_thread(self, size: int, work: Callable[[T], None], message: T) -> None:
        if size <= LONG_TEXT:
            work(message)
            return
        thread = asyncio.ensure_future(asyncio.to_thread(work, message))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            # It goes on by itself: wait for it, so that nobody finds the session half changed.
            await asyncio.wait({thread})
            raise

    def _start(self, config: pb.LiveConfig) -> None:
        settings = LiveSettings.read(config, self._bounds, self._styles, self._glossaries)
        name = settings.resume.resume_token if settings.resume else secrets.token_hex(8)
        self._session = LiveSession(
            settings, self._bounds, self._budget, name=name, model_revision=self._model_revision
        )

    def _wake(self) -> None:
        self._work.set()
        if self._session is not None and self._session.outbox.urgent:
            self._changed.set()

    # ---- worker

    async def _convert(self) -> None:
        started = -1e9
        while True:
            await self._work.wait()
            self._work.clear()
            session = self._session
            while session is not None and session.waiting:
                left = started + session.settings.interim_s - time.monotonic()
                if left > 0 and not session.urgent:
                    # Not wait_for: before Python 3.12 it swallows a cancellation that comes with its result.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await self._work.wait()
                    self._work.clear()
                    continue
                started = time.monotonic()
                async with self._free:
                    turn = session.next_turn()
                if turn is not None:
                    outcomes = await self._run(session, turn)
                    async with self._free:
                        session.finish(turn, outcomes)
                    self._changed.set()

    async def _run(self, session: LiveSession, turn: Turn) -> list[Conversion | HanjaserveError]:
        texts, contexts = [item.text for item in turn.items], [item.skip for item in turn.items]
        while True:
            try:
                return await self._converter.convert_batch(
                    texts,
                    session.settings.options,
                    deadline=self._call.deadline,
                    priority=_priority(turn),
                    contexts=contexts,
                )
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_s)


def _priority(turn: Turn) -> Priority:
    if turn.code_points >= TURN_CODE_POINTS:
        return Priority.INTERACTIVE  # part of a long text that was pasted
    return Priority.LIVE_FINAL if turn.is_final else Priority.LIVE_INTERIM


def _text_of(message: pb.LiveRequest) -> int:
    if message.HasField("edit"):
        return sum([len(splice.text) for splice in message.edit.splices])
    return len(message.replace.text)


def _messages(events: Sequence[pb.LiveEvent]) -> Iterator[pb.LiveResponse]:
    """Join events into messages of about MESSAGE_BYTES; a single larger one goes alone."""
    response, size = pb.LiveResponse(), 0
    for event in events:
        response.events.append(event)
        size += event.ByteSize()
        if size >= MESSAGE_BYTES:
            yield response
            response, size = pb.LiveResponse(), 0
    if response.events:
        yield response
