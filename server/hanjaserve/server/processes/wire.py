"""What is said over a link, as bytes.

    front-end -> engine   Run: encodings to compute, class, deadline      Cancel: nobody waits for it any more
    engine -> front-end   Done: an outcome for each encoding              Failed: one error for all of them

Deadlines are on `time.monotonic`, which all processes of a machine share. A job's number is used once in
the life of a link, so an answer that comes too late finds nobody.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b

import numpy as np

from hanjaserve.server.entry import Priority
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.processes.faults import error_of, fault_of
from hanjaserve.server.processes.ring import RingBroken
from hanjaserve.server.shapes import Int32

HEAD = struct.Struct("<IIQ")  # kind, encodings, job
RUN_HEAD = struct.Struct("<qdQ55sx")  # priority, deadline, flow, traceparent
DONE_HEAD = struct.Struct("<QQII")  # queue_us, run_us, candidates per token, bytes of the faults at the end
Outcome = Int32 | HanjaserveError


class Kind(IntEnum):
    """The kinds of messages."""

    RUN = 1
    CANCEL = 2
    DONE = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class Run:
    """Compute the candidates of every int32 [tokens], none of them empty, in the turns of a flow."""

    job: int
    arrays: Sequence[Int32]
    priority: Priority
    deadline: float | None
    flow: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget a job."""

    job: int


@dataclass(frozen=True, slots=True)
class Done:
    """Candidates int32 [tokens, k] of every encoding, or its fault."""

    job: int
    outcomes: Sequence[Outcome]
    queue_us: int = 0
    run_us: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that came to nothing."""

    job: int
    error: HanjaserveError = field(compare=False)


Message = Run | Cancel | Done | Failed


def flow_number(flow: object) -> int:
    """A flow as all processes call it: 64 bits, 0 for none."""
    return int.from_bytes(blake2b(str(flow).encode(), digest_size=8).digest()) if flow else 0


def encode(message: Message) -> bytes:
    """A message as a record."""
    match message:
        case Run(job, arrays, priority, deadline, flow, traceparent):
            until = math.inf if deadline is None else deadline
            head = RUN_HEAD.pack(priority, until, flow, traceparent.encode())
            tokens = np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
            return b"".join((HEAD.pack(Kind.RUN, len(arrays), job), head, _lengths(arrays), tokens.tobytes()))
        case Cancel(job):
            return HEAD.pack(Kind.CANCEL, 0, job)
        case Done():
            return _encode_done(message)
        case Failed(job, error):
            return HEAD.pack(Kind.FAILED, 0, job) + json.dumps(fault_of(error)).encode()


def decode(record: bytes) -> Message:
    """The message of a record; its arrays are views into it, and read-only.

    Raises:
        RingBroken: It is none.
    """
    try:
        kind, count, job = HEAD.unpack_from(record)
        match kind:
            case Kind.RUN:
                return _decode_run(record, count, job)
            case Kind.CANCEL:
                return Cancel(job)
            case Kind.DONE:
                return _decode_done(record, count, job)
            case Kind.FAILED:
                return Failed(job, error_of(json.loads(record[HEAD.size :])))
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise RingBroken(f"a record of {len(record)} bytes can't be read") from error
    raise RingBroken(f"a record is of kind {kind}, which there is not")


def _decode_run(record: bytes, count: int, job: int) -> Run:
    priority, until, flow, traceparent = RUN_HEAD.unpack_from(record, HEAD.size)
    at = HEAD.size + RUN_HEAD.size
    lengths = np.frombuffer(record, np.int32, count, at)
    tokens = np.frombuffer(record, np.int32, offset=at + 4 * count)
    if count == 0 or lengths.min() < 1 or lengths.sum() != len(tokens):
        raise ValueError("lengths and tokens differ")
    arrays = np.split(tokens, np.cumsum(lengths[:-1]))
    deadline = None if math.isinf(until) else until
    return Run(job, arrays, Priority(priority), deadline, flow, traceparent.rstrip(b"\0").decode())


def _encode_done(done: Done) -> bytes:
    found = [outcome for outcome in done.outcomes if isinstance(outcome, np.ndarray)]
    faults = [(i, fault_of(o)) for i, o in enumerate(done.outcomes) if isinstance(o, HanjaserveError)]
    tail = json.dumps(faults).encode() if faults else b""
    top_k = found[0].shape[1] if found else 0
    return b"".join(
        (
            HEAD.pack(Kind.DONE, len(done.outcomes), done.job),
            DONE_HEAD.pack(done.queue_us, done.run_us, top_k, len(tail)),
            _lengths([o if isinstance(o, np.ndarray) else () for o in done.outcomes]),
            np.concatenate(found).tobytes() if found else b"",
            tail,
        )
    )


def _decode_done(record: bytes, count: int, job: int) -> Done:
    queue_us, run_us, top_k, tail = DONE_HEAD.unpack_from(record, HEAD.size)
    at = HEAD.size + DONE_HEAD.size
    lengths = np.frombuffer(record, np.int32, count, at)
    at += 4 * count
    tokens = int(lengths.sum())
    if lengths.min(initial=0) < 0 or at + 4 * tokens * top_k + tail != len(record):
        raise ValueError("lengths and candidates differ")
    candidates = np.frombuffer(record, np.int32, tokens * top_k, at).reshape(tokens, top_k)
    outcomes: list[Outcome] = list(np.split(candidates, np.cumsum(lengths[:-1])))
    for index, described in json.loads(record[len(record) - tail :]) if tail else ():
        outcomes[index] = error_of(described)
    return Done(job, outcomes, queue_us, run_us)


def _lengths(arrays: Sequence[Int32 | tuple[()]]) -> bytes:
    return np.fromiter(map(len, arrays), np.int32, len(arrays)).tobytes()
