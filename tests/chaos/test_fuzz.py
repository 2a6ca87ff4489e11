"""Whatever comes in over any method: no crash, no hang, no UNKNOWN, no traceback.

The examples that Hypothesis finds to fail are kept in .hypothesis/ and tried first the next time.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .conftest import CONVERTED, LONG, Load, Patient
from .http2 import CONVERT, PREFACE, RawConnection, framed
from .messages import METHODS, messages, path_of

EXAMPLES = int(os.environ.get("CHAOS_INPUTS", "60000" if LONG else "40"))
"""For each of nine methods twice: a million and more in the long form."""
CONNECTIONS = 20_000 if LONG else 60
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    derandomize=not LONG,
)
BAD = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}


def outcome(server: Patient, path: str, requests: list[bytes]) -> grpc.StatusCode:
    """The status of a call; a hang is DEADLINE_EXCEEDED, which no call here deserves."""
    call = server.channel.stream_stream(path)(iter(requests), timeout=20)
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def is_sound(server: Patient) -> None:
    assert server.process.poll() is None
    assert server.convert() == CONVERTED
    complaints = [line for line in server.log if "traceback" in line.lower() or "unknown exception" in line]
    assert complaints == []


@pytest.fixture(scope="module")
def unhurried(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A server with the usual patience for messages: on a busy machine, a client is slow to send one."""
    with Patient(tiny_bundle, tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_messages_of_every_method(
    unhurried: Patient, method: MethodDescriptor, record: Callable[..., None]
) -> None:
    most = 4 if method.client_streaming else 1
    count = 0

    @QUIET
    @given(requests=st.lists(messages(method.input_type), min_size=1, max_size=most))
    def call(requests: list[Any]) -> None:
        nonlocal count
        count += 1
        code = outcome(unhurried, path_of(method), [request.SerializeToString() for request in requests])
        assert code not in BAD

    call()
    is_sound(unhurried)
    record(method=method.name, inputs=count)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message(unhurried: Patient, method: MethodDescriptor) -> None:
    @QUIET
    @given(data=st.binary(max_size=200))
    def call(data: bytes) -> None:
        code = outcome(unhurried, path_of(method), [data])
        assert code not in BAD

    call()
    is_sound(unhurried)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out, or repeated."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found))
        match rng.randrange(4):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + rng.randint(1, 8)]
            case 2:
                found[at:at] = found[at : at + rng.randint(1, 64)]
            case 3:
                found[at:at] = rng.randbytes(rng.randint(1, 16))
        if not found:
            found = bytearray(b"\0")
    return bytes(found)


def test_raw_http2(patient: Patient, record: Callable[..., None]) -> None:
    """Conversations with the server in which bytes went wrong."""
    rng = random.Random(7)
    with Load(patient, callers=1) as load:
        for _ in range(CONNECTIONS):
            with RawConnection(patient.address, greet=False) as raw:
                frames = [
                    raw.headers(1, path=rng.choice([CONVERT, "/x", "", "/" * 300])),
                    raw.data(1, framed(rng.randbytes(rng.randint(0, 60))), end=rng.random() < 0.5),
                    raw.ping(),
                    raw.reset(1),
                ]
                rng.shuffle(frames)
                talk = b"".join(frame.serialize() for frame in frames)
                opening = PREFACE if rng.random() < 0.8 else mutated(PREFACE, rng)
                raw.send_bytes(opening + mutated(b"\0\0\0\4\0\0\0\0\0" + talk, rng))
        load.more()
    assert (load.errors, set(load.answers)) == ([], {CONVERTED})
    patient.is_well()
    is_sound(patient)
    record(connections=CONNECTIONS)
