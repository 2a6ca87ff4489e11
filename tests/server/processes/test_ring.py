"""The ring against a list: whatever is announced comes out once, whole and in order, and no byte is lost."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.processes.ring import LENGTH, RingBroken, RingReader, RingWriter

CAPACITY = 64
STEPS = st.lists(
    st.one_of(st.binary(max_size=CAPACITY - LENGTH.size), st.sampled_from(["announce", "take"])), max_size=60
)


class Ring:
    def __init__(self) -> None:
        self.memory = memoryview(bytearray(CAPACITY))
        self.written, self.read = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2))
        self.writer = RingWriter(self.memory, self.written, self.read)
        self.reader = RingReader(self.memory, self.written, self.read)


@contextmanager
def ring() -> Iterator[Ring]:
    made = Ring()
    try:
        yield made
    finally:
        os.close(made.written)
        os.close(made.read)


def size(record: bytes) -> int:
    return LENGTH.size + len(record)


@given(STEPS)
def test_any_order_of_steps(steps: list[bytes | str]) -> None:
    """`unsaid` and `said` are what a reader may not, and must, get; together they never exceed the ring."""
    unsaid: list[bytes] = []
    said: deque[bytes] = deque()
    with ring() as made:
        for step in steps:
            if step == "announce":
                made.writer.announce()
                said.extend(unsaid)
                unsaid.clear()
            elif step == "take":
                assert made.reader.take() == list(said)
                said.clear()
            else:
                assert isinstance(step, bytes)
                held = sum(map(size, [*said, *unsaid]))
                assert made.writer.offer(step) == (held + size(step) <= CAPACITY)
                if held + size(step) <= CAPACITY:
                    unsaid.append(step)
        made.writer.announce()
        assert made.reader.take() == [*said, *unsaid]
        assert made.reader.take() == []


def test_record_goes_on_at_the_beginning() -> None:
    """Records of 21 bytes end everywhere in a ring of 64, in their lengths as well."""
    with ring() as made:
        for number in range(200):
            record = bytes([number]) * 17
            assert made.writer.offer(record)
            made.writer.announce()
            assert made.reader.take() == [record]


def test_burst_is_one_wake_up() -> None:
    with ring() as made:
        for record in (b"one", b"two", b"three"):
            assert made.writer.offer(record)
        made.writer.announce()
        made.writer.announce()
        assert os.eventfd_read(made.written) == size(b"one") + size(b"two") + size(b"three")


def test_writer_that_dies_before_it_announces_is_not_heard() -> None:
    with ring() as made:
        assert made.writer.offer(b"whole")
        made.writer.announce()
        assert made.writer.offer(b"half")
        del made.writer
        assert made.reader.take() == [b"whole"]
        assert made.reader.take() == []


def test_record_that_can_never_fit_is_a_mistake() -> None:
    with ring() as made, pytest.raises(ValueError, match="can't fit"):
        made.writer.offer(bytes(CAPACITY))


@pytest.mark.parametrize("announced", [1, 5, CAPACITY, CAPACITY + 1])
def test_reader_believes_nothing(announced: int) -> None:
    """Lengths and announcements that can't be are not followed out of the ring."""
    with ring() as made:
        made.memory[:4] = LENGTH.pack(2**32 - 1)
        os.eventfd_write(made.written, announced)
        with pytest.raises(RingBroken):
            made.reader.take()


def test_writer_believes_nothing() -> None:
    with ring() as made:
        assert made.writer.offer(bytes(CAPACITY - LENGTH.size))
        os.eventfd_write(made.read, CAPACITY + 1)
        with pytest.raises(RingBroken):
            made.writer.offer(b"more")
