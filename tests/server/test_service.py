import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanjaserve.server.batcher import Priority
from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.gate import Gate
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import SERVICE_NAME, Listener
from hanjaserve.server.options import Rendering
from hanjaserve.server.service import Backend, HanjaService
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub

from .fakes import FakeConverter

Code = grpc.StatusCode


@dataclass
class Harness:
    converter: FakeConverter
    gate: Gate
    listener: Listener
    channel: grpc.aio.Channel
    stub: Any


def stub_for(channel: grpc.aio.Channel) -> Any:
    return HanjaServiceStub(channel)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def running(*, live: bool = True, **options: object) -> AsyncIterator[Harness]:
    config = ServerConfig(port=0, **options)  # type: ignore[arg-type]
    converter, gate = FakeConverter(), Gate(max_concurrent_rpcs=config.max_concurrent_rpcs)
    service = HanjaService(config, gate)
    guard = Guard(callers=Callers(max_calls=4096))
    async with Listener(config, service, guard) as listener:
        if live:
            service.go_live(
                Backend(
                    converter=converter,  # type: ignore[arg-type]
                    model="tiny",
                    revision="abc",
                    scheme="syllable",
                    styles=("modern", "scripture"),
                    runner="fake",
                    ladder=("tensorrt: no device",),
                )
            )
            await listener.set_serving()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
            yield Harness(converter, gate, listener, channel, stub_for(channel))
            converter.hold.set()


def violation(error: grpc.aio.AioRpcError) -> str:
    """The field of the only field violation in the details of a failed call."""
    trailer = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailer["grpc-status-details-bin"])
    details = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(details)
    return str(details.field_violations[0].field)


def items(*texts: str, start: int = 0) -> pb.StreamConvertRequest:
    found = [pb.StreamItem(id=start + i, text=text) for i, text in enumerate(texts)]
    return pb.StreamConvertRequest(items=pb.StreamItems(items=found))


def config(**options: object) -> pb.StreamConvertRequest:
    return pb.StreamConvertRequest(
        config=pb.StreamConfig(options=pb.ConvertOptions(**options))  # type: ignore[arg-type]
    )


async def outcomes(harness: Harness, requests: Iterable[pb.StreamConvertRequest]) -> list[pb.StreamResult]:
    results: list[pb.StreamResult] = []
    async for response in harness.stub.StreamConvert(iter(requests)):
        results.extend(response.results)
    return results


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


# ---- Convert


async def test_convert() -> None:
    async with running() as harness:
        response = await harness.stub.Convert(pb.ConvertRequest(text="abc"))
        assert response == pb.ConvertResponse(conversion=pb.Conversion(text="ABC"))


async def test_convert_with_spans() -> None:
    async with running() as harness:
        options = pb.ConvertOptions(with_spans=True, max_alternatives=1)
        response = await harness.stub.Convert(pb.ConvertRequest(text="abc", options=options))
        (span,) = response.conversion.spans
        assert (span.start, span.end, span.hangul, span.hanja, span.score) == (
            0, 3, "abc", "ABC", 0.5,
        )  # fmt: skip
        assert [(a.hanja, a.score) for a in span.alternatives] == [("ALT", 0.25)]


async def test_options_deadline_and_priority_reach_the_converter() -> None:
    options = pb.ConvertOptions(
        rendering=pb.RENDERING_RUBY,
        min_score=0.5,
        max_alternatives=8,
        first_occurrence_only=True,
        style="scripture",
    )
    async with running() as harness:
        await harness.stub.Convert(pb.ConvertRequest(text="a", options=options), timeout=30)
        await harness.stub.Convert(pb.ConvertRequest(text="a" * 5000))
        await harness.stub.BatchConvert(pb.BatchConvertRequest(texts=["a"]))
        (first, second, third) = harness.converter.calls
    got, deadline, priority = first
    assert (got.rendering, got.style, got.first_occurrence_only) == (
        Rendering.RUBY, "scripture", True,
    )  # fmt: skip
    assert (got.min_score, got.max_alternatives) == (0.5, 8)
    assert deadline is not None
    assert priority is Priority.INTERACTIVE
    assert second[1] is None
    assert (second[2], third[2]) == (Priority.BULK, Priority.BULK)


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"rendering": 99}, "options.rendering", ["99", "0 to 5"]),
        ({"min_score": 1.5}, "options.min_score", ["1.5", "0 to 1"]),
        ({"min_score": -0.1}, "options.min_score", ["0 to 1"]),
        ({"min_score": float("nan")}, "options.min_score", ["nan"]),
        ({"min_score": float("inf")}, "options.min_score", ["inf"]),
        ({"max_alternatives": 9}, "options.max_alternatives", ["9", "0 to 8"]),
        ({"character_set": 7}, "options.character_set", ["7", "0 to 3"]),
        ({"characters": "首"}, "options.characters", ["1 Hanja", "use CUSTOM"]),
        ({"with_kept": True}, "options.with_kept", ["with_spans"]),
        ({"style": "nope"}, "options.style", ["'nope'", "modern, scripture"]),
    ],
)
async def test_bad_options_name_field_value_and_limit(
    options: dict[str, object], field: str, words: list[str]
) -> None:
    message = pb.ConvertOptions(**options)  # type: ignore[arg-type]
    async with running() as harness:
        for call in (
            harness.stub.Convert(pb.ConvertRequest(text="a", options=message)),
            harness.stub.BatchConvert(pb.BatchConvertRequest(texts=["a"], options=message)),
            outcomes(harness, [config(**options), items("a")]),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is Code.INVALID_ARGUMENT
            assert violation(caught.value) == field
            assert all(word in (caught.value.details() or "") for word in words)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("!long", Code.INVALID_ARGUMENT),
        ("!fault", Code.INTERNAL),
        ("!!busy", Code.RESOURCE_EXHAUSTED),
        ("!!bug", Code.INTERNAL),
    ],
)
async def test_errors_of_the_converter_become_codes(text: str, code: grpc.StatusCode) -> None:
    async with running() as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text=text))
        assert caught.value.code() is code
        await until(lambda: harness.gate.active == 0)


async def test_unknown_exception_is_logged_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="!!bug"))
    assert "!!bug" not in (caught.value.details() or "")
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    fields = record.fields  # type: ignore[attr-defined]
    assert fields["error"] == "ZeroDivisionError"
    assert "convert_batch" in fields["traceback"]
    assert "!!bug" not in str(fields)


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe"])
async def test_malformed_message_is_the_callers_fault(body: bytes) -> None:
    async with running() as harness:
        raw: Any = harness.channel.unary_unary(f"/{SERVICE_NAME}/Convert")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(body)
        assert caught.value.code() is Code.INVALID_ARGUMENT
        stream: Any = harness.channel.stream_stream(f"/{SERVICE_NAME}/StreamConvert")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stream(iter([b"\xff\xff\xff"])):
                pass
        assert caught.value.code() is Code.INVALID_ARGUMENT


async def test_message_over_the_cap() -> None:
    async with running(max_message_bytes=2000) as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="a" * 3000))
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED


async def test_response_over_the_cap_says_what_to_do() -> None:
    options = pb.ConvertOptions(with_spans=True)
    async with running(max_message_bytes=2000) as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="a" * 1500, options=options))
        assert caught.value.code() is Code.INVALID_ARGUMENT
        assert "fewer spans" in (caught.value.details() or "")


# ---- BatchConvert


async def test_batch_keeps_order_and_isolates_errors() -> None:
    async with running() as harness:
        request = pb.BatchConvertRequest(texts=["a", "!long", "", "!fault", "b"])
        response = await harness.stub.BatchConvert(request)
    assert [r.WhichOneof("outcome") for r in response.results] == [
        "conversion", "error", "conversion", "error", "conversion",
    ]  # fmt: skip
    assert [r.conversion.text for r in response.results] == ["A", "", "", "", "B"]
    assert response.results[1].error.code == Code.INVALID_ARGUMENT.value[0]
    assert response.results[3].error.code == Code.INTERNAL.value[0]


async def test_batch_over_the_limit() -> None:
    async with running(max_batch_items=3) as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.BatchConvert(pb.BatchConvertRequest(texts=["a"] * 4))
        assert caught.value.code() is Code.INVALID_ARGUMENT
        assert "4 texts, the limit is 3" in (caught.value.details() or "")


# ---- StreamConvert


async def test_stream_keeps_order_and_echoes_ids() -> None:
    requests = [items(*(f"t{i}" for i in range(n, n + 10)), start=n) for n in range(0, 1000, 10)]
    async with running(max_stream_in_flight=64) as harness:
        results = await outcomes(harness, requests)
        assert harness.converter.most_items <= 64
    assert [r.id for r in results] == list(range(1000))
    assert [r.conversion.text for r in results] == [f"T{i}" for i in range(1000)]


async def test_stream_joins_finished_results() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        call = harness.stub.StreamConvert(iter([items(str(i), start=i) for i in range(100)]))
        await until(lambda: harness.converter.items == 100)
        harness.converter.hold.set()
        sizes = [len(response.results) async for response in call]
    assert sum(sizes) == 100
    assert len(sizes) < 20


async def test_stream_config_applies_and_may_be_missing() -> None:
    async with running() as harness:
        (plain,) = await outcomes(harness, [items("a")])
        (spans,) = await outcomes(harness, [config(with_spans=True), items("a")])
        assert await outcomes(harness, []) == []
    assert len(plain.conversion.spans) == 0
    assert len(spans.conversion.spans) == 1


@pytest.mark.parametrize(
    "requests",
    [
        [items("a"), config()],
        [config(), items("a"), config()],
        [config(), config()],
        [items("a"), pb.StreamConvertRequest()],
        [items("a"), items(*"abcdefghijk")],
    ],
)
async def test_stream_protocol_errors_end_it_after_the_results(
    requests: list[pb.StreamConvertRequest],
) -> None:
    asked = any(r.items.items == items("a").items.items for r in requests)
    got: list[str] = []
    async with running(max_batch_items=10) as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for response in harness.stub.StreamConvert(iter(requests)):
                got += [r.conversion.text for r in response.results]
        assert caught.value.code() is Code.INVALID_ARGUMENT
        await until(lambda: harness.gate.active == 0)
    assert got == (["A"] if asked else [])


async def test_stream_item_errors_stay_in_the_message() -> None:
    async with running() as harness:
        results = await outcomes(harness, [items("a", "!long", "b"), items("!fault", start=3)])
    assert [r.WhichOneof("outcome") for r in results] == [
        "conversion", "error", "conversion", "error",
    ]  # fmt: skip


async def test_stream_stops_reading_when_enough_is_under_way() -> None:
    async with running(max_stream_in_flight=8) as harness:
        harness.converter.hold.clear()
        call = harness.stub.StreamConvert(iter([items(*"abc", start=i) for i in range(50)]))
        await until(lambda: harness.converter.items == 6)
        await asyncio.sleep(0.05)
        assert harness.converter.items == 6
        harness.converter.hold.set()
        assert sum([len(r.results) async for r in call]) == 150
        assert harness.converter.most_items <= 8


async def test_group_larger_than_the_flight_is_cut() -> None:
    async with running(max_stream_in_flight=4) as harness:
        results = await outcomes(harness, [items(*"abcdefghij")])
        assert "".join(r.conversion.text for r in results) == "ABCDEFGHIJ"
        assert harness.converter.most_items <= 4


async def test_stream_waits_when_the_queue_is_full() -> None:
    async with running() as harness:
        harness.converter.overloads = 3
        (result,) = await outcomes(harness, [items("a")])
    assert result.conversion.text == "A"


async def test_large_results_are_split() -> None:
    async with running() as harness:
        sizes = [
            response.ByteSize()
            async for response in harness.stub.StreamConvert(iter([items(*["a" * 10_000] * 200)]))
        ]
    assert sum(sizes) > 2_000_000
    assert max(sizes) < 300_000


async def test_cancelled_stream_cancels_its_conversions() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        call = harness.stub.StreamConvert(iter([items("a", "b")]))
        reading = asyncio.create_task(call.read())
        await until(lambda: harness.converter.items == 2)
        call.cancel()
        await until(lambda: harness.converter.cancelled == 2)
        await until(lambda: harness.gate.active == 0)
        with pytest.raises(asyncio.CancelledError):
            await reading


# ---- glossaries


def entries(**words: str) -> pb.Glossary:
    return pb.Glossary(entries=[pb.GlossaryEntry(hangul=h, hanja=j, keep=not j) for h, j in words.items()])


async def refused(call: Any) -> tuple[Code, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_glossaries_are_stored_and_used() -> None:
    async with running() as harness:
        stub = harness.stub
        glossary = entries(김영희="金英姬", 의사="")
        put = await stub.PutGlossary(pb.PutGlossaryRequest(id="names", glossary=glossary))
        assert (put.info.id, put.info.entries, len(put.info.version)) == ("names", 2, 16)
        got = await stub.GetGlossary(pb.GetGlossaryRequest(id="names"))
        assert (got.info, got.glossary) == (put.info, glossary)
        assert list((await stub.ListGlossaries(pb.ListGlossariesRequest())).glossaries) == [put.info]
        reference = pb.GlossaryReference(id="names", version=put.info.version)
        options = pb.ConvertOptions(glossary_reference=reference)
        await stub.Convert(pb.ConvertRequest(text="a", options=options))
        await outcomes(harness, [config(glossary=glossary), items("a")])
        used = [call[0].glossary for call in harness.converter.calls]
        assert [found.version for found in used if found] == [put.info.version] * 2
        await stub.DeleteGlossary(pb.DeleteGlossaryRequest(id="names"))
        code, words = await refused(stub.Convert(pb.ConvertRequest(text="a", options=options)))
        assert (code, "no glossary 'names'" in words) == (Code.NOT_FOUND, True)


async def test_glossaries_that_are_refused() -> None:
    async with running() as harness:
        stub = harness.stub
        request = pb.PutGlossaryRequest(id="names", glossary=entries(김="金"), expected_version="0123")
        assert (await refused(stub.PutGlossary(request)))[0] is Code.FAILED_PRECONDITION
        request.expected_version = ""
        await stub.PutGlossary(request)
        stale = pb.ConvertOptions(glossary_reference=pb.GlossaryReference(id="names", version="0123"))
        code, words = await refused(stub.Convert(pb.ConvertRequest(text="a", options=stale)))
        assert (code, "not '0123'" in words) == (Code.FAILED_PRECONDITION, True)
        bad = pb.ConvertOptions(glossary=entries(김="金朴"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Convert(pb.ConvertRequest(text="a", options=bad))
        assert violation(caught.value) == "options.glossary.entries[0].hanja"


# ---- the gate


async def test_before_the_model_is_there() -> None:
    async with running(live=False) as harness:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="a"))
        assert caught.value.code() is Code.UNAVAILABLE
        info = await harness.stub.GetServerInfo(pb.GetServerInfoRequest())
        assert not info.ready
        assert info.limits.max_batch_items == 1024


async def test_server_info() -> None:
    async with running() as harness:
        info = await harness.stub.GetServerInfo(pb.GetServerInfoRequest())
    assert info.ready
    assert (info.model, info.model_revision, info.scheme) == ("tiny", "abc", "syllable")
    assert (info.runner, list(info.ladder)) == ("fake", ["tensorrt: no device"])
    assert list(info.styles) == ["modern", "scripture"]
    assert info.version


async def test_draining_refuses_new_calls_and_finishes_old_ones() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        old = harness.stub.Convert(pb.ConvertRequest(text="a"))
        await until(lambda: harness.converter.items == 1)
        harness.gate.close()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="a"))
        assert caught.value.code() is Code.UNAVAILABLE
        harness.converter.hold.set()
        assert (await old).conversion.text == "A"
        await asyncio.wait_for(harness.gate.idle(), 5)


async def test_endless_stream_can_be_asked_to_end() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        call = harness.stub.StreamConvert()
        await call.write(items("a", "b"))
        await until(lambda: harness.converter.items == 2)
        harness.gate.close()
        harness.gate.end_streams()
        harness.converter.hold.set()
        response = await call.read()
        assert [r.conversion.text for r in response.results] == ["A", "B"]
        assert await call.code() is Code.UNAVAILABLE


async def test_too_many_calls_are_refused_at_once() -> None:
    async with running(max_concurrent_rpcs=2) as harness:
        harness.converter.hold.clear()
        old = [harness.stub.Convert(pb.ConvertRequest(text="a")) for _ in range(2)]
        await until(lambda: harness.converter.items == 2)
        # A connection of its own, else HTTP/2 itself holds the call back.
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{harness.listener.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub_for(channel).Convert(pb.ConvertRequest(text="a"))
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert "limit is 2" in (caught.value.details() or "")
        harness.converter.hold.set()
        await asyncio.gather(*old)


async def test_deadline_cancels_the_conversion() -> None:
    async with running() as harness:
        harness.converter.hold.clear()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await harness.stub.Convert(pb.ConvertRequest(text="a"), timeout=0.1)
        assert caught.value.code() is Code.DEADLINE_EXCEEDED
        await until(lambda: harness.converter.cancelled == 1)
        await until(lambda: harness.gate.active == 0)


async def test_health() -> None:
    async with running(live=False) as harness:
        stub = health_pb2_grpc.HealthStub(harness.channel)
        for name in ("", SERVICE_NAME):
            request = health_pb2.HealthCheckRequest(service=name)
            assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await harness.listener.set_serving()
            assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
            await harness.listener._set(health_pb2.HealthCheckResponse.NOT_SERVING)


async def test_calls_are_logged_without_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hanjaserve")
    async with running() as harness:
        await harness.stub.BatchConvert(pb.BatchConvertRequest(texts=["secret", "!long"]))
    (record,) = [r for r in caplog.records if r.getMessage() == "call"]
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["method"], fields["code"], fields["items"]) == ("BatchConvert", "OK", 2)
    assert set(fields) == {"rpc_id", "caller", "method", "code", "items", "tokens", "queue_us", "run_us"}
    assert "secret" not in caplog.text.lower()
