"""One StreamConvert call: ordered results, bounded memory, as few messages as is natural.

    reader:  messages -> groups of items -> one conversion task per group -> queue, in order
    writer:  queue -> wait for the oldest group -> add whatever else is finished -> one message

Backpressure is to stop reading. An item counts as under way from when it is read until its result
has been written, so a slow receiver stops the reader just like a busy runner does, and HTTP/2 flow
control carries it to the sender. For the same reason a full queue does not end a stream: the group
waits and tries again, as long as the deadline allows.

A fault of one item is its result. A fault of the stream (order of messages, deadline, shutdown, a
mistake of ours) comes after the results of everything read before it.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from hanjaserve.server.batcher import Priority
from hanjaserve.server.converter import Conversion, TextConverter
from hanjaserve.server.errors import BadOption, Draining, HanjaserveError, Overloaded
from hanjaserve.server.gate import Call
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.messages import StreamMessages, check_parsed, options_from
from hanjaserve.v1 import hanjaserve_pb2 as pb

# Results are joined up to this size; larger messages save nothing and delay the first result.
MESSAGE_BYTES = 256 * 1024

Outcomes = list[Conversion | HanjaserveError]


@dataclass(slots=True, frozen=True, kw_only=True)
class _Group:
    ids: Sequence[int]
    outcomes: asyncio.Task[Outcomes]


class StreamSession:
    """The state of one StreamConvert call."""

    def __init__(
        self,
        converter: TextConverter,
        call: Call,
        *,
        styles: Sequence[str],
        glossaries: Glossaries,
        max_batch_items: int,
        max_in_flight: int,
    ) -> None:
        self._converter = converter
        self._call = call
        self._styles = styles
        self._glossaries = glossaries
        self._max_batch_items = max_batch_items
        self._max_in_flight = max_in_flight
        self._options = options_from(pb.ConvertOptions(), styles)
        self._in_flight = 0
        self._room = asyncio.Event()
        # None ends the stream, an exception ends it with a status.
        self._groups: deque[_Group | Exception | None] = deque()
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task[Outcomes]] = set()
        self._reader: asyncio.Task[None] | None = None

    async def responses(
        self, requests: AsyncIterator[pb.StreamConvertRequest]
    ) -> AsyncIterator[pb.StreamConvertResponse]:
        """Yield the results of everything that `requests` yields, in order.

        Raises:
            RequestError: The messages do not follow the protocol.
            HanjaserveError: Whatever else ends the stream.
        """
        self._reader = asyncio.create_task(self._read(requests))
        try:
            last: Exception | None = None
            while last is None:
                messages, last, ended = await self._collect()
                for message in messages.finished:
                    yield message
                self._in_flight -= messages.items
                self._room.set()
                if ended:
                    break
            if last is not None:
                raise last
        finally:
            self._reader.cancel()
            for task in self._tasks:
                task.cancel()

    def stop_reading(self) -> None:
        """End the stream once everything read so far is answered: the server shuts down."""
        if self._reader is not None:
            self._reader.cancel()

    async def _collect(self) -> tuple[StreamMessages, Exception | None, bool]:
        """Wait for the oldest group and take whatever else has finished.

        Returns:
            The results, the exception that ends the stream, and whether it has ended.
        """
        messages = StreamMessages(MESSAGE_BYTES)
        self._arrived.clear()
        if not self._groups:
            await self._arrived.wait()
        while isinstance(group := self._groups.popleft(), _Group):
            try:
                outcomes = await group.outcomes
            except Exception as error:
                return messages, error, True
            for item_id, outcome in zip(group.ids, outcomes, strict=True):
                messages.add(item_id, outcome)
            if messages.size >= MESSAGE_BYTES or not self._next_is_done():
                return messages, None, False
        return messages, group, True

    def _next_is_done(self) -> bool:
        if not self._groups:
            return False
        head = self._groups[0]
        return not isinstance(head, _Group) or head.outcomes.done()

    def _queue(self, group: _Group | Exception | None) -> None:
        self._groups.append(group)
        self._arrived.set()

    async def _read(self, requests: AsyncIterator[pb.StreamConvertRequest]) -> None:
        """Start a conversion for every group of items; the last thing queued says how it ended."""
        end: Exception | None = None
        try:
            first = True
            async for message in requests:
                check_parsed(message)
                if message.HasField("items"):
                    for items in self._chunks(message.items.items):
                        await self._start(items)
                else:
                    self._configure(message, first=first)
                first = False
        except asyncio.CancelledError:
            end = Draining("the server is shutting down: send what has no result to another one")
            raise
        except Exception as error:
            end = error
        finally:
            self._queue(end)

    def _configure(self, message: pb.StreamConvertRequest, *, first: bool) -> None:
        if not message.HasField("config"):
            raise BadOption("message", "the message has neither config nor items: set one of them")
        if not first:
            raise BadOption("config", "config came after the first message: send it first, and once")
        self._options = options_from(message.config.options, self._styles, self._glossaries)

    def _chunks(self, items: Sequence[pb.StreamItem]) -> Iterator[Sequence[pb.StreamItem]]:
        if len(items) > self._max_batch_items:
            raise BadOption(
                "items.items",
                f"the message has {len(items)} items, the limit is {self._max_batch_items}: "
                "send more messages with fewer items",
            )
        for start in range(0, len(items), self._max_in_flight):
            yield items[start : start + self._max_in_flight]

    async def _start(self, items: Sequence[pb.StreamItem]) -> None:
        while self._in_flight and self._in_flight + len(items) > self._max_in_flight:
            self._room.clear()
            await self._room.wait()
        self._in_flight += len(items)
        self._call.items += len(items)
        task = asyncio.create_task(self._convert([item.text for item in items]))
        self._tasks.add(task)
        task.add_done_callback(self._settle)
        self._queue(_Group(ids=[item.id for item in items], outcomes=task))

    def _settle(self, task: asyncio.Task[Outcomes]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain if nobody else does

    async def _convert(self, texts: Sequence[str]) -> Outcomes:
        deadline = self._call.deadline
        while True:
            try:
                return await self._converter.convert_batch(
                    texts, self._options, deadline=deadline, priority=Priority.BULK
                )
            except Overloaded as error:
                retry_at = time.monotonic() + error.retry_after_s
                if deadline is not None and retry_at >= deadline:
                    raise
                await asyncio.sleep(error.retry_after_s)
