"""The clients against a real server process: the same answers by every way, and its own errors."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from hanjaserve.client import (
    Client,
    Conversion,
    ConvertError,
    GlossaryEntry,
    GlossaryReference,
    InvalidRequest,
    ItemError,
    RetryPolicy,
    SyncClient,
    TextTooLong,
    Unavailable,
)
from tests.e2e.process import ServerProcess

TEXTS = [f"대한민국 {n}의 수도와 상수도, 의사가 학교에서 " * (n % 7) for n in range(700)]


@pytest.fixture(scope="module")
def address(tiny_bundle: Path) -> Iterator[str]:
    with ServerProcess(tiny_bundle, "--max-text-code-points", "2000") as running:
        yield running.address


def test_every_way_gives_the_same(address: str) -> None:
    with SyncClient(address) as client:
        batch = client.convert_batch(TEXTS, max_alternatives=2)
        stream = list(client.convert_stream(TEXTS, max_alternatives=2))
        single = [client.convert(text, max_alternatives=2) for text in TEXTS[:50]]

    async def aio() -> tuple[list[object], list[object]]:
        async with Client(address) as client:
            batch = await client.convert_batch(TEXTS, max_alternatives=2)
            results = client.convert_stream(TEXTS, max_alternatives=2)
            return list(batch), [result async for result in results]

    aio_batch, aio_stream = asyncio.run(aio())
    assert batch == stream == aio_batch == aio_stream
    assert batch[:50] == single
    first = batch[1]
    assert isinstance(first, Conversion)
    assert "首都" in first.text and "水道" in first.text
    for span in first.spans:
        assert TEXTS[1][span.start : span.end] == span.hangul
        assert first.text[span.start : span.end] == span.hanja


def test_refusals(address: str) -> None:
    long = "가" * 2001
    with SyncClient(address) as client:
        with pytest.raises(TextTooLong, match="2001 code points, the limit is 2000"):
            client.convert(long)
        with pytest.raises(InvalidRequest, match="baroque") as caught:
            client.convert("수도", style="baroque")
        assert caught.value.field_violations
        with pytest.raises(InvalidRequest, match="baroque"):
            list(client.convert_stream(["수도"], style="baroque"))
        good, bad, last = client.convert_batch(["수도", long, "수도"])
        assert good == last == Conversion(text="首都")
        assert isinstance(bad, ItemError) and isinstance(bad.error, TextTooLong)
        results = list(client.convert_stream(["수도", long, "수도"]))
        assert [type(result) for result in results] == [Conversion, ItemError, Conversion]
        info = client.wait_ready()
        assert info.ready and info.limits.max_text_code_points == 2000


def test_a_server_that_stops(tiny_bundle: Path) -> None:
    quick = RetryPolicy(max_attempts=2, initial_delay_s=0.01)
    with ServerProcess(tiny_bundle) as server, SyncClient(server.address, retry=quick) as client:
        assert client.convert("수도").text == "首都"
        server.signal(signal.SIGKILL)
        server.wait()
        with pytest.raises(Unavailable):
            client.convert("수도")
        with pytest.raises(Unavailable):
            client.wait_ready(timeout_s=0.5)


def test_glossaries(address: str) -> None:
    words = {"수도": "水道", "학교": None}
    with SyncClient(address) as client:
        assert client.convert("수도 학교", glossary=words).text == "水道 학교"
        info = client.put_glossary("own", words)
        reference = GlossaryReference(id="own", version=info.version)
        assert client.convert_batch(["수도", "학교"], glossary=reference) == [
            Conversion(text="水道"), Conversion(text="학교"),
        ]  # fmt: skip
        assert client.list_glossaries() == [info]
        assert client.get_glossary("own") == (
            GlossaryEntry(hangul="수도", hanja="水道"), GlossaryEntry(hangul="학교", hanja=None),
        )  # fmt: skip
        stale = GlossaryReference(id="own", version="0" * 16)
        with pytest.raises(ConvertError, match="has version") as caught:
            client.convert("수도", glossary=stale)
        assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
        client.delete_glossary("own")
        with pytest.raises(ConvertError, match="no glossary 'own'") as caught:
            client.convert("수도", glossary=reference)
        assert caught.value.code is grpc.StatusCode.NOT_FOUND

    async def aio() -> None:
        async with Client(address) as client:
            await client.put_glossary("other", iter([GlossaryEntry(hangul="수도", hanja="水道")]))
            assert len(await client.list_glossaries()) == len(await client.get_glossary("other")) == 1
            await client.delete_glossary("other")

    asyncio.run(aio())


def test_options_of_every_kind(address: str) -> None:
    with SyncClient(address) as client:
        conversion = client.convert("수도 首都", read_hanja=True, with_kept=True, rendering="hangul")
        assert conversion.text == "수도 수도"
        assert "".join(span.text for span in conversion.spans) == "수도 首都"
        assert client.convert("수도 학교", characters="首都").text == "首都 학교"
        assert client.convert("수도 학교", characters="educational").text == "首都 學校"
