"""Whatever comes in over any method: no crash, no hang, no UNKNOWN, no traceback.

The examples that Hypothesis finds to fail are kept in .hypothesis/ and tried first the next time.
"""

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .breeding import LARGEST, mutated
from .conftest import CONVERTED, LONG, TEXT, Load, Patient
from .conversations import honest
from .http2 import CONVERT, PREFACE, RawConnection, framed
from .messages import METHODS, path_of, requests, some
from .storm import PATIENCE_S, Storm, corpus_of, keep
from .verdict import Answer, complaint, is_endless

EXAMPLES = 1_000 if LONG else 30
"""Of Hypothesis, for each method twice: it makes them slowly, and finds the shortest one that fails."""
SEEDS = 1_000 if LONG else 20
STORM = int(os.environ.get("CHAOS_INPUTS", "50000" if LONG else "100"))
"""For each of two dozen methods, bred from the seeds: a million and more in the long form."""
SEED = int(os.environ.get("CHAOS_SEED", "1"))
CONNECTIONS = 20_000 if LONG else 60
MOST_GROWTH = 128 * 2**20
"""In the second half of a storm: five kilobytes a call. Large texts come and go, and arenas keep the most."""
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    derandomize=not LONG,
)


def answered(server: Patient, method: MethodDescriptor, messages: list[bytes]) -> Answer:
    answer, call = Answer(), server.channel.stream_stream(path_of(method))(iter(messages), timeout=PATIENCE_S)
    try:
        for message in call:
            answer.messages.append(message)
            if is_endless(method):
                call.cancel()
                break
    except grpc.RpcError as error:
        answer.ended(error)
    return answer


def is_sound(server: Patient) -> None:
    assert server.process.poll() is None
    assert server.convert() == CONVERTED
    complaints = [line for line in server.log if "traceback" in line.lower() or "unknown exception" in line]
    assert complaints == []


@pytest.fixture(scope="module")
def unhurried(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A server that waits for its callers, and keeps a short log: the machine may stop them for minutes."""
    flags = ("--request-s", str(PATIENCE_S), "--reading-s", str(PATIENCE_S), "--log-level", "warning")
    flags += ("--keepalive-s", str(PATIENCE_S), "--runner-patience-s", str(PATIENCE_S))
    with Patient(tiny_bundle, tmp_path_factory.mktemp("chaos"), *flags) as running:
        yield running


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_messages_of_every_method(
    unhurried: Patient, method: MethodDescriptor, record: Callable[..., None]
) -> None:
    count = 0

    @QUIET
    @given(messages=requests(method))
    def call(messages: list[bytes]) -> None:
        nonlocal count
        count += 1
        assert not complaint(method, answered(unhurried, method, messages))

    call()
    is_sound(unhurried)
    record(inputs=count)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message(
    unhurried: Patient, method: MethodDescriptor, record: Callable[..., None]
) -> None:
    count = 0

    @QUIET
    @given(data=st.binary(max_size=200))
    def call(data: bytes) -> None:
        nonlocal count
        count += 1
        assert not complaint(method, answered(unhurried, method, [data]))

    call()
    is_sound(unhurried)
    record(inputs=count)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_storm(unhurried: Patient, method: MethodDescriptor, record: Callable[..., None]) -> None:
    """Inputs bred from others, beyond what Hypothesis has time to make."""
    first = [*honest(method.name), *corpus_of(method), *some(requests(method), SEEDS)]
    first = [messages for messages in first if sum(map(len, messages)) < LARGEST]
    storm, total = Storm(unhurried.address, method, first, seed=SEED), max(STORM, len(first))
    asyncio.run(storm.rage(total // 2, TEXT, CONVERTED))
    before = unhurried.rss()  # caches and arenas are full
    report = asyncio.run(storm.rage(total, TEXT, CONVERTED))
    after = unhurried.rss()
    is_sound(unhurried)
    if LONG:
        keep(method, report.kept)
    record(
        inputs=report.inputs, statuses=report.statuses, honest=report.honest, kinds=len(report.kept),
        rss_halfway=before, rss_after=after,
    )  # fmt: skip
    assert after - before < MOST_GROWTH


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
