"""Very many inputs for one method: dozens under way, each answer judged, an honest caller beside them.

An input that is answered as none was before joins those that others are bred from, and the corpus in
corpus/, which the next storm begins with: the answers lead to what the server tells apart.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub

from .breeding import Breeder, Input
from .messages import path_of
from .verdict import Answer, complaint, is_endless
from .wire import Wire, connected

CORPUS = Path(__file__).parent / "corpus"
MOST_LINES, LONGEST_LINE = 150, 800
CONNECTIONS, UNDER_WAY = 4, 48
PATIENCE_S = 600.0
"""After which a call is taken to hang: the machine may stop the whole test for minutes."""
LOCAL = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(slots=True)
class Report:
    """What came of a storm.

    Attributes:
        inputs: Calls that were made.
        statuses: How many of them ended how.
        honest: Answers, all of them right, that the honest caller got meanwhile.
        kept: Inputs that were answered as none before.
    """

    inputs: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    honest: int = 0
    kept: list[Input] = field(default_factory=list)


class Storm:
    """Inputs for one method of the server at an address: the first ones, then what is bred from them."""

    def __init__(self, address: str, method: MethodDescriptor, first: Sequence[Input], seed: int) -> None:
        self.report = Report()
        self._address = address
        self._method = method
        self._first = first
        self._breeder = Breeder(method, first, random.Random(seed))
        self._known: set[object] = set()

    async def rage(self, total: int, text: str, converted: str) -> Report:
        """Send until it is so many in all; `converted` is the right answer to the honest caller's `text`.

        Raises:
            AssertionError: An answer was not deserved; says to which input.
        """
        inputs, over = self._inputs(total), asyncio.Event()
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(self._address)) for _ in range(CONNECTIONS)]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._honest(text, converted, over))
                senders = [
                    tasks.create_task(self._send(wires[number % CONNECTIONS], inputs))
                    for number in range(UNDER_WAY)
                ]
                await asyncio.wait(senders)
                over.set()
        return self.report

    def _inputs(self, total: int) -> Iterator[Input]:
        while (number := self.report.inputs) < total:
            yield self._first[number] if number < len(self._first) else self._breeder.next()

    async def _send(self, wire: Wire, inputs: Iterator[Input]) -> None:
        path, endless = path_of(self._method), is_endless(self._method)
        for messages in inputs:
            self.report.inputs += 1
            answer = await wire.call(path, messages, patience_s=PATIENCE_S, first=endless)
            wrong = complaint(self._method, answer)
            assert not wrong, f"{self._method.name}: {wrong}; to {[message.hex() for message in messages]}"
            self.report.statuses[answer.code.name] += 1
            if (shape := _shape(answer)) not in self._known:
                self._known.add(shape)
                self.report.kept.append(messages)
                self._breeder.pools.setdefault(answer.code.name, []).append(messages)

    async def _honest(self, text: str, converted: str, over: asyncio.Event) -> None:
        """Call while it rages, and once when it is over."""
        async with grpc.aio.insecure_channel(self._address, LOCAL) as channel:
            stub: Any = HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
            last = False
            while not last:
                last = over.is_set()
                answer = await stub.Convert(pb.ConvertRequest(text=text), timeout=PATIENCE_S)
                assert answer.conversion.text == converted, "the honest caller got a wrong answer"
                self.report.honest += 1
                await asyncio.sleep(0.02)


def _shape(answer: Answer) -> object:
    """What tells answers apart; numbers, quotations and exact sizes differ with every input."""
    said = re.sub(r"'[^']*'|\"[^\"]*\"|[^A-Za-z]", "", answer.details)
    return answer.code, said, len(answer.messages), sum(map(len, answer.messages)).bit_length()


def corpus_of(method: MethodDescriptor) -> list[Input]:
    """What earlier storms kept: an input per line, its messages in hex, an empty one as a dot."""
    path = _corpus_file(method)
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [[bytes.fromhex(word.strip(".")) for word in line.split()] for line in lines]


def keep(method: MethodDescriptor, inputs: list[Input]) -> None:
    """Make the smallest of these inputs the corpus of a method."""
    lines = {" ".join(message.hex() or "." for message in messages) for messages in inputs}
    small = sorted(line for line in lines if len(line) <= LONGEST_LINE)
    small = sorted(small, key=len)[:MOST_LINES]
    CORPUS.mkdir(exist_ok=True)
    _corpus_file(method).write_text("".join(f"{line}\n" for line in small), encoding="ascii")


def _corpus_file(method: MethodDescriptor) -> Path:
    return CORPUS / f"{method.containing_service.name}.{method.name}.txt"
