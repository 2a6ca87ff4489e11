"""What joins one front-end and one engine: a ring each way, and a socket that ends with the other side.

The supervisor makes a link and hands its descriptors to both. The memory is a memfd: it has no name, only
who was handed the descriptor can open it, and it can't be made smaller under its reader.

A link is for one event loop. Records are announced at the end of the loop's turn, all of them at once.
"""

import asyncio
import fcntl
import logging
import mmap
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hanjaserve.server.processes.ring import RingBroken, RingReader, RingWriter

logger = logging.getLogger(__name__)

REQUEST_BYTES, REPLY_BYTES = 16 * 2**20, 16 * 2**20
"""Room on the way to the engine and back.

Requests: as many tokens as may be queued by default, so that the queue is full first. Replies wait.
"""
DESCRIPTORS = 6
MEMORY, REQUESTS_WRITTEN, REQUESTS_READ, REPLIES_WRITTEN, REPLIES_READ, LIFELINE = range(DESCRIPTORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnds:
    """A new link: the descriptors for either side, to be closed once they are sent."""

    frontend: list[int]
    engine: list[int]


def make_link(request_bytes: int = REQUEST_BYTES, reply_bytes: int = REPLY_BYTES) -> LinkEnds:
    """Make the memory, the wake-ups and the socket of a link."""
    memory = os.memfd_create("hanjaserve", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, request_bytes + reply_bytes)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    shared = [memory, *(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(4))]
    one, other = socket.socketpair()
    return LinkEnds(
        frontend=[*shared, one.detach()], engine=[*(os.dup(number) for number in shared), other.detach()]
    )


class Link:
    """One end. Closes its descriptors with `close`.

    Args:
        descriptors: `LinkEnds.frontend` or `.engine`, as received.
        on_records: Called with what has come.
        on_lost: Called once when the other side is gone, or broke the protocol; not after `close`.
        is_engine: Whether it is the engine's end.
        request_bytes: What the link was made with; the rest of the memory is for the replies.
    """

    def __init__(
        self,
        descriptors: Sequence[int],
        on_records: Callable[[list[bytes]], None],
        on_lost: Callable[[], None],
        *,
        is_engine: bool,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self._descriptors = tuple(descriptors)
        self._on_records, self._on_lost = on_records, on_lost
        self._loop = asyncio.get_running_loop()
        self._map = mmap.mmap(descriptors[MEMORY], 0)
        self._memory = memoryview(self._map)
        requests = (self._memory[:request_bytes], descriptors[REQUESTS_WRITTEN], descriptors[REQUESTS_READ])
        replies = (self._memory[request_bytes:], descriptors[REPLIES_WRITTEN], descriptors[REPLIES_READ])
        self._reader = RingReader(*(requests if is_engine else replies))
        self._writer = RingWriter(*(replies if is_engine else requests))
        self._wake_fd = descriptors[REQUESTS_WRITTEN if is_engine else REPLIES_WRITTEN]
        self._room_fd = descriptors[REPLIES_READ if is_engine else REQUESTS_READ]
        self._owed: deque[bytes] = deque()
        self._announcing = False
        self.is_open = True
        self._loop.add_reader(self._wake_fd, self._receive)
        self._loop.add_reader(descriptors[LIFELINE], self._lose)

    def send(self, record: bytes) -> bool:
        """Write a record; False if the ring is full."""
        if not self.is_open or self._owed or not self._offer(record):
            return False
        self._announce_soon()
        return True

    def post(self, record: bytes) -> None:
        """Write a record, as soon as there is room for it."""
        if self.is_open and not self.send(record):
            if not self._owed:
                self._loop.add_reader(self._room_fd, self._settle)
            self._owed.append(record)

    def close(self) -> None:
        """Give everything back; the other side sees that the link is lost."""
        if not self.is_open:
            return
        self._announce()
        self.is_open = False
        for number in (self._wake_fd, self._room_fd, self._descriptors[LIFELINE]):
            self._loop.remove_reader(number)
        self._owed.clear()
        # The rings hold views of the memory, which can't be unmapped before they are gone.
        del self._reader, self._writer
        self._memory.release()
        with suppress(BufferError):
            self._map.close()
        for number in self._descriptors:
            os.close(number)

    def _receive(self) -> None:
        try:
            if records := self._reader.take():
                self._on_records(records)
        except RingBroken as error:
            logger.error("a process breaks the protocol and is taken for dead: %s", error)
            self._give_up()

    def _offer(self, record: bytes) -> bool:
        try:
            return self._writer.offer(record)
        except RingBroken:
            self._loop.call_soon(self._give_up)
            return False

    def _settle(self) -> None:
        while self._owed and self._offer(self._owed[0]):
            self._owed.popleft()
            self._announce_soon()
        if self.is_open and not self._owed:
            self._loop.remove_reader(self._room_fd)

    def _announce_soon(self) -> None:
        if not self._announcing:
            self._announcing = True
            self._loop.call_soon(self._announce)

    def _announce(self) -> None:
        self._announcing = False
        if self.is_open:
            self._writer.announce()

    def _lose(self) -> None:
        """The other side has gone; what it said before counts."""
        if self.is_open:
            self._receive()
        self._give_up()

    def _give_up(self) -> None:
        if self.is_open:
            self.close()
            self._on_lost()
