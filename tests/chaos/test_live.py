"""Live sessions that send too much, too fast, or don't read: their neighbours type on, and memory is bounded.

What a session must keep to is counted, not timed: how far a neighbour gets while the flood goes on, how often
the server converts, how many results it sends.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from hanjaserve.client.live_document import LiveDocument, Splice
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.server.live.sessions import edit, replace
from tests.server.live.test_stream import CONFIG, Caller
from tests.server.test_service import stub_for
from tests.support.tiny import convert

from .conftest import Patient, until

MIB = 2**20
EDITS = 10_000
KEYS = "대한민국의 수도는 서울이다. 의사가 학교에서 음악을 듣는다. 상수도 요금은? "
MAX_CODE_POINTS = 1_000_000
SENTENCE = "수도 " * 160 + ". "
SENTENCES, REVISIONS = 20, 100


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    # By default 10,000 edits would take 49 s. So they take a second at least: 5,000 may come at once.
    flags = ("--max-live-edits-per-s", "5000", "--reading-s", "600")
    with Patient(tiny_bundle, tmp_path_factory.mktemp("live"), *flags) as running:
        yield running


@pytest.fixture(scope="module")
def paste() -> str:
    """100 MB of text, in UTF-8."""
    return "대한민국의 수도는 서울이다. " * 2_500_000


@dataclass
class Line:
    """A connection."""

    stub: Any


@asynccontextmanager
async def session(
    server: Patient, config: pb.LiveRequest = CONFIG, *options: tuple[str, int]
) -> AsyncIterator[Caller]:
    """A session on a connection of its own, that has been told of its start."""
    channel = grpc.aio.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1), *options])
    async with channel, Caller(Line(stub_for(channel)), config) as caller:
        await caller.until("started")
        yield caller


class Typist:
    """Whoever sits beside a session that misbehaves: types, and waits for the answer to every key."""

    def __init__(self, caller: Caller) -> None:
        self.document = LiveDocument()
        self._caller = caller

    async def type(self, text: str) -> None:
        for key in text:
            end = len(self.document.text)
            await self._caller.send(self.document.edit([Splice(start=end, end=end, text=key)]))
            await self._caller.until("done", self.document.revision)
            assert self._caller.view.text == convert(self.document.text)


async def close(caller: Caller) -> str:
    """Half-close: everything becomes final. Returns what the document is converted to."""
    await caller.call.done_writing()
    await caller.rest()
    assert await caller.call.code() is grpc.StatusCode.OK
    assert len(list(caller.view.finals())) == len(caller.view._list)
    return caller.view.text


async def fresh(server: Patient, text: str, config: pb.LiveRequest = CONFIG) -> str:
    """What a session converts a text to that gets all of it at once."""
    async with session(server, config) as caller:
        await caller.send(replace(1, text))
        return await close(caller)


def conversions(server: Patient) -> float:
    """How many texts the runners have computed."""
    return server.metrics()["hanjaserve_batch_entries_sum"]


# ---- too fast


def flood() -> tuple[LiveDocument, list[pb.LiveRequest]]:
    """Typing with corrections, key by key."""
    chance, document, messages = random.Random(1), LiveDocument(), []
    for number in range(EDITS):
        end = len(document.text)
        key = KEYS[number % len(KEYS)]
        splice = Splice(start=end, end=end, text=key)
        if end > 40 and chance.random() < 0.2:
            at = end - chance.randint(1, 40)
            splice = Splice(start=at, end=at + chance.randint(0, 1), text=chance.choice(["", key]))
        messages.append(document.edit([splice]))
    return document, messages


async def test_a_flood_of_edits_is_converted_together(server: Patient, record: Callable[..., None]) -> None:
    document, messages = flood()
    server.forget_peak()
    peak, computed = server.peak(), conversions(server)
    async with session(server) as flooder, session(server) as neighbour:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flooder.send(*messages))
            answered = tasks.create_task(flooder.until("done", EDITS))
            await Typist(neighbour).type("상수도. 학교 수도")
            assert not answered.done(), "the neighbour was answered when the flood was over"
        text = await close(flooder)
        assert flooder.done == list(range(1, EDITS + 1))
    computed, grown = conversions(server) - computed, server.peak() - peak
    record(edits=EDITS, computed=computed, grown=grown)
    assert text == convert(document.text) == await fresh(server, document.text)
    # At most 50 turns a second, of what was edited since the last one.
    assert computed < EDITS / 2
    assert grown < 24 * MIB


# ---- too much


async def test_a_paste_of_100_MB_ends_only_its_own_call(server: Patient, paste: str) -> None:
    server.forget_peak()
    peak = server.peak()
    async with session(server) as caller, session(server) as neighbour:
        typist = Typist(neighbour)
        message = replace(1, paste)
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(ended(caller, message))
            await typist.type("상수도")
        code, words = ending.result()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"({message.ByteSize()} vs. {16 * MIB})" in words
        await typist.type("학교")
    until(server.is_idle)
    # It is refused by the length that it announces: no part of it is kept.
    assert server.peak() - peak < 24 * MIB


async def ended(caller: Caller, message: pb.LiveRequest) -> tuple[grpc.StatusCode, str]:
    """Send a message that ends the call; returns how."""
    with pytest.raises(grpc.aio.AioRpcError):
        await caller.send(message)
        await caller.until("rejected")  # as if it were only too long a text
    return await caller.call.code(), await caller.call.details()


async def refused(caller: Caller, message: pb.LiveRequest) -> str:
    """Send a revision that is too long; returns why it was refused."""
    await caller.send(message)
    status = (await caller.until("rejected")).rejected.status
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    return str(status.message)


async def test_splices_that_are_too_long_together_are_refused(server: Patient) -> None:
    text = "대한민국의 수도는 서울이다. " * 100
    splices = [pb.Splice(start=2, end=2, text=text)] * 1_024
    async with session(server) as caller, session(server) as neighbour:
        await caller.send(edit(1, 0, 0, "수도"))
        async with asyncio.TaskGroup() as tasks:
            why = tasks.create_task(
                refused(caller, pb.LiveRequest(edit=pb.LiveEdit(revision=2, splices=splices)))
            )
            await Typist(neighbour).type("상수도")
        length = 2 + 1_024 * len(text)
        assert f"would have {length} code points, the limit is {MAX_CODE_POINTS}" in why.result()
        assert caller.view.text == "首都"
        await caller.send(replace(3, "상수도"), edit(4, 3, 3, "다"))
        assert await close(caller) == "상水道다"
        # A done covers those that were refused before it, too: they do not count.
        assert [revision for revision in caller.done if revision != 2] == [1, 3, 4]


async def test_100_MB_of_text_are_refused_where_messages_may_be_as_long(
    tiny_bundle: Path, tmp_path: Path, paste: str
) -> None:
    peaks = []
    with Patient(tiny_bundle, tmp_path, "--max-message-bytes", str(128 * MIB)) as server:
        async with session(server) as caller, session(server) as neighbour:
            typist = Typist(neighbour)
            for revision in (1, 3, 5, 7):
                async with asyncio.TaskGroup() as tasks:
                    why = tasks.create_task(refused(caller, replace(revision, paste)))
                    await typist.type("상수도")
                assert f"would have {len(paste)} code points, the limit is {MAX_CODE_POINTS}" in why.result()
                await caller.send(replace(revision + 1, "학교"))
                await caller.until("done", revision + 1)
                assert caller.view.text == "學校"
                peaks.append(server.peak())
    # The allocator keeps some of what they took; a leak of three texts would be 255 MB.
    assert peaks[-1] - peaks[0] < 200 * MIB


# ---- too slow


def rewritten(document: LiveDocument) -> pb.LiveRequest:
    """Another first word for every long sentence, and a short one more at the end."""
    word = ("학교", "음악")[document.revision % 2]
    starts = [number * len(SENTENCE) for number in range(SENTENCES)]
    places = [Splice(start=start, end=start + len(word), text=word) for start in starts]
    end = len(document.text)
    return document.edit([*places, Splice(start=end, end=end, text=". 문화")])


async def edit_without_reading(server: Patient, caller: Caller, document: LiveDocument, each: float) -> None:
    """Send revisions, each when `each` texts have been computed for the one before: none is superseded."""
    for _ in range(REVISIONS):
        enough = conversions(server) + each
        await caller.send(rewritten(document), pb.LiveRequest(flush=pb.LiveFlush()))
        until(lambda enough=enough: conversions(server) >= enough)  # type: ignore[misc]


async def test_a_reader_that_stops_gets_the_newest_results_and_every_final(
    server: Patient, record: Callable[..., None]
) -> None:
    # Ruby and spans make 10 KB of a sentence. The client's window must not grow with what comes.
    options = pb.ConvertOptions(rendering=pb.RENDERING_RUBY, with_spans=True)
    config = pb.LiveRequest(config=pb.LiveConfig(options=options))
    document = LiveDocument()
    async with session(server, config, ("grpc.http2.bdp_probe", 0)) as slow, session(server) as neighbour:
        before = conversions(server)
        await slow.send(document.replace(SENTENCE * SENTENCES + "문화"))
        await slow.until("done", 1)
        each, known = conversions(server) - before, len(slow.results)
        server.forget_peak()
        peak = server.peak()
        await edit_without_reading(server, slow, document, each)
        await Typist(neighbour).type("상수도")
        grown = server.peak() - peak
        await slow.until("done", document.revision)
        results = slow.results[known:]
        assert len(list(slow.view.finals())) == SENTENCES + REVISIONS, "all but the one that is open"
        assert slow.done == list(range(1, document.revision + 1))
        text = await close(slow)
    record(revisions=REVISIONS, results=len(results), grown=grown)
    assert text == await fresh(server, document.text, config)
    # A queue would hold a result of every sentence for every revision: 2,000 results, 20 MB of messages.
    assert len(results) < 3 * (SENTENCES + REVISIONS)
    assert sum(not result.is_final for result in results) < REVISIONS / 4
    assert grown < 16 * MIB
