"""Messages survive the way, errors keep what they say, and bytes that are no message are refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.entry import Priority
from hanjaserve.server.errors import (
    ConfigError,
    DeadlineExpired,
    DeviceLost,
    HanjaserveError,
    Overloaded,
    RuntimeFault,
)
from hanjaserve.server.processes.ring import RingBroken
from hanjaserve.server.processes.wire import Cancel, Done, Failed, Run, decode, encode, flow_number

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def arrays(lengths: list[int], *tail: int) -> list[np.ndarray]:
    chance = np.random.default_rng(3)
    return [chance.integers(0, 2**31 - 1, (length, *tail)).astype(np.int32) for length in lengths]


TRACES = st.sampled_from(["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])


@given(LENGTHS, st.sampled_from(Priority), st.one_of(st.none(), st.floats(0, 1e9)), TRACES)
def test_run(lengths: list[int], priority: Priority, deadline: float | None, traceparent: str) -> None:
    sent = Run(7, arrays(lengths), priority, deadline, flow_number("alice"), traceparent)
    came = decode(encode(sent))
    assert isinstance(came, Run)
    assert (came.job, came.priority, came.deadline) == (7, priority, deadline)
    assert (came.flow, came.traceparent) == (sent.flow, traceparent)
    for one, other in zip(came.arrays, sent.arrays, strict=True):
        assert np.array_equal(one, other)


@given(LENGTHS, st.integers(1, 5), st.sets(st.integers(0, 5)))
def test_done(lengths: list[int], top_k: int, faulty: set[int]) -> None:
    outcomes: list[np.ndarray | HanjaserveError] = list(arrays(lengths, top_k))
    for index in faulty:
        if index < len(outcomes):
            outcomes[index] = RuntimeFault(f"fault {index}")
    came = decode(encode(Done(7, outcomes, 11, 13)))
    assert isinstance(came, Done)
    assert (came.job, came.queue_us, came.run_us) == (7, 11, 13)
    for one, other in zip(came.outcomes, outcomes, strict=True):
        if isinstance(other, HanjaserveError):
            assert isinstance(one, RuntimeFault)
            assert str(one) == str(other)
        else:
            assert np.array_equal(one, other)


@pytest.mark.parametrize("error", [DeadlineExpired("late"), DeviceLost("gone"), RuntimeFault("broken")])
def test_error(error: HanjaserveError) -> None:
    came = decode(encode(Failed(7, error)))
    assert isinstance(came, Failed)
    assert (type(came.error), str(came.error)) == (type(error), str(error))


def test_overload_keeps_its_hint_and_reason() -> None:
    came = decode(encode(Failed(7, Overloaded("full", 2.5, reason="queue"))))
    assert isinstance(came, Failed)
    assert isinstance(came.error, Overloaded)
    assert (came.error.retry_after_s, came.error.reason) == (2.5, "queue")


def test_error_that_has_no_business_there_is_a_fault() -> None:
    came = decode(encode(Failed(7, ConfigError("odd"))))
    assert isinstance(came, Failed)
    assert type(came.error) is RuntimeFault


def test_cancel() -> None:
    assert decode(encode(Cancel(2**40))) == Cancel(2**40)


@given(st.binary(max_size=80))
def test_bytes_that_are_no_message(record: bytes) -> None:
    try:
        decode(record)
    except RingBroken:
        pass


@pytest.mark.parametrize("lengths", [(2, 2), (5, -1), (0, 4), ()])
def test_lengths_that_do_not_fit(lengths: tuple[int, ...]) -> None:
    head = struct.pack("<IIQqd", 1, len(lengths), 7, 0, 1.0)
    record = head + np.array([*lengths, *range(5)], np.int32).tobytes()
    with pytest.raises(RingBroken):
        decode(record)
