"""One way between two processes: records of bytes in shared memory, one writer, one reader.

    writer:  bytes into the memory ----> eventfd "written" += their number     (once per burst)
    reader:  that many out of it  <---- then eventfd "read" += the same number

There are no positions in the memory itself. Each side counts for itself, and what the other one did it
learns from an eventfd, which adds up what was not looked at yet, never fills up, wakes an event loop, and
orders memory on every processor. Nothing is announced before it is complete, so a writer that dies leaves
no half record behind.

A record is its length (uint32, little-endian) and its bytes; it goes on at the beginning where the memory
ends.
"""

import os
import struct
from contextlib import suppress

LENGTH = struct.Struct("<I")


class RingBroken(Exception):
    """The other side does not keep to the protocol: it must be taken for dead."""


class RingWriter:
    """The writing end. Does not close anything.

    Args:
        memory: All of the ring.
        written_fd: The eventfd by which it says how much it wrote.
        read_fd: The eventfd by which it learns how much was read.
    """

    def __init__(self, memory: memoryview, written_fd: int, read_fd: int) -> None:
        self._memory = memory
        self._written_fd, self._read_fd = written_fd, read_fd
        self._at = 0
        self._free = len(memory)
        self._unsaid = 0

    def offer(self, record: bytes) -> bool:
        """Write a record; False if there is no room for it now. Nobody sees it before `announce`.

        Raises:
            ValueError: It is larger than the ring.
        """
        size = LENGTH.size + len(record)
        if size > len(self._memory):
            raise ValueError(f"a record of {size} bytes can't fit a ring of {len(self._memory)}.")
        if size > self._free:
            self._collect()
            if size > self._free:
                return False
        self._write(LENGTH.pack(len(record)))
        self._write(record)
        self._free -= size
        self._unsaid += size
        return True

    def announce(self) -> None:
        """Wake the reader for all that was written since the last time."""
        if self._unsaid:
            os.eventfd_write(self._written_fd, self._unsaid)
            self._unsaid = 0

    def _write(self, data: bytes) -> None:
        at, room = self._at, len(self._memory) - self._at
        head = data[:room]
        self._memory[at : at + len(head)] = head
        if rest := data[room:]:
            self._memory[: len(rest)] = rest
        self._at = (at + len(data)) % len(self._memory)

    def _collect(self) -> None:
        with suppress(BlockingIOError):
            self._free += os.eventfd_read(self._read_fd)
        if self._free + self._unsaid > len(self._memory):
            raise RingBroken("the reader says that it read more than there was")


class RingReader:
    """The reading end; see `RingWriter`."""

    def __init__(self, memory: memoryview, written_fd: int, read_fd: int) -> None:
        self._memory = memory
        self._written_fd, self._read_fd = written_fd, read_fd
        self._at = 0

    def take(self) -> list[bytes]:
        """Copy all records that were announced, and give their room back.

        Raises:
            RingBroken: What was announced is not a number of whole records.
        """
        try:
            announced = os.eventfd_read(self._written_fd)
        except BlockingIOError:
            return []
        if announced > len(self._memory):
            raise RingBroken(f"{announced} bytes were announced in a ring of {len(self._memory)}")
        records, left = [], announced
        while left:
            left -= LENGTH.size
            (size,) = LENGTH.unpack(self._read(LENGTH.size)) if left >= 0 else (0,)
            left -= size
            if left < 0:
                raise RingBroken("a record is longer than what was announced")
            records.append(self._read(size))
        os.eventfd_write(self._read_fd, announced)
        return records

    def _read(self, size: int) -> bytes:
        at, room = self._at, len(self._memory) - self._at
        self._at = (at + size) % len(self._memory)
        if size <= room:
            return bytes(self._memory[at : at + size])
        return b"".join((self._memory[at:], self._memory[: size - room]))
