"""Spans of a server without a network: batches of several calls, and what strangers send."""

import asyncio
import logging

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="needs hanjaserve[otel]")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

from hanjaserve.server.batcher import Batcher
from hanjaserve.server.observer import Several
from hanjaserve.server.pool import Pool
from hanjaserve.server.timing import SPAN
from hanjaserve.server.traces import Traces

from .fakes import POISON, FakeRunner
from .test_pool import array, entered

METHOD = "/hanjaserve.v1.HanjaService/Convert"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Recorded:
    def __init__(self, sampled: float = 1.0) -> None:
        self._memory = InMemorySpanExporter()
        sampler = ParentBased(TraceIdRatioBased(sampled))
        self._provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._memory))
        self.traces = Traces(self._provider)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._memory.get_finished_spans() if span.name == name]

    async def call(self, pool: Pool, *values: int, headers: dict[str, str] | None = None) -> None:
        self.traces.call_began(METHOD, headers or {})
        await pool.run_each([array(6, value) for value in values])
        self.traces.call_ended(METHOD, "OK", 0.1, None)


async def test_a_batch_is_linked_to_every_call_in_it_and_they_to_the_batch() -> None:
    recorded, runner = Recorded(), FakeRunner()
    batcher = Batcher(max_batch_tokens=64, max_queue_tokens=1000)
    async with Pool([runner], batcher, top_k=2, observer=Several([recorded.traces]), revision="r1") as pool:
        runner.gate.clear()
        blocking = asyncio.create_task(recorded.call(pool, 1))
        await entered(runner)
        waiting = [asyncio.create_task(recorded.call(pool, value, value)) for value in (2, 3)]
        await asyncio.sleep(0.05)
        runner.gate.set()
        await asyncio.gather(blocking, *waiting)
    first, second = recorded.spans("batch")
    oldest, other = [link.context for link in second.links]
    assert len(first.links) == 1 and oldest.trace_id != other.trace_id
    assert second.parent.span_id == oldest.span_id
    assert dict(second.attributes) == {
        "hanjaserve.entries": 4,
        "hanjaserve.failed": 0,
        "hanjaserve.tokens": 24,
        "hanjaserve.padding_tokens": 8,
        "hanjaserve.runner": "fake",
        "hanjaserve.model.revision": "r1",
    }
    queued = [span for span in recorded.spans("queue") if span.attributes["hanjaserve.entries"] == 2]
    assert {span.context.trace_id for span in queued} == {oldest.trace_id, other.trace_id}
    for span in queued:
        assert [link.context.span_id for link in span.links] == [second.context.span_id]
        assert span.end_time - span.start_time > 40e6


async def test_a_batch_with_a_failed_entry_is_an_error() -> None:
    recorded, runner = Recorded(), FakeRunner()
    batcher = Batcher(max_batch_tokens=64, max_queue_tokens=1000)
    async with Pool([runner], batcher, top_k=2, observer=recorded.traces) as pool:
        await recorded.call(pool, 1, POISON)
    (batch,) = recorded.spans("batch")
    assert batch.attributes["hanjaserve.failed"] == 1
    assert batch.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(("flag", "batches"), [("01", 1), ("00", 0)])
async def test_the_caller_decides_what_is_sampled(flag: str, batches: int) -> None:
    recorded = Recorded(sampled=0.0)
    batcher = Batcher(max_batch_tokens=64, max_queue_tokens=1000)
    async with Pool([FakeRunner()], batcher, top_k=2, observer=recorded.traces) as pool:
        await recorded.call(pool, 1)
        await recorded.call(pool, 1, headers={"traceparent": f"00-{TRACE}-{PARENT}-{flag}"})
    assert [f"{span.context.trace_id:032x}" for span in recorded.spans("batch")] == [TRACE] * batches


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "수도"},
        {"traceparent": "x" * 10_000},
        {"traceparent": b"\xff" * 55},
        {"traceparent": f"00-{'0' * 32}-{PARENT}-01"},
        {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "=,수도,x" * 90, "baggage": ";;;수도"},
    ],
)
async def test_strangers_can_neither_break_nor_write_anything(
    headers: dict[str, str | bytes], caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Recorded()
    with caplog.at_level(logging.DEBUG):
        recorded.traces.call_began(METHOD, headers)
        recorded.traces.call_ended(METHOD, "OK", 0.1, None)
    (span,) = recorded.spans(METHOD[1:])
    assert "수도" not in span.to_json() and not span.context.trace_state
    assert caplog.text == ""


@pytest.mark.parametrize(("code", "status"), [("OK", "UNSET"), ("NOT_FOUND", "UNSET"), ("INTERNAL", "ERROR")])
async def test_only_our_own_faults_are_errors(code: str, status: str) -> None:
    recorded = Recorded()
    recorded.traces.call_began(METHOD, {})
    recorded.traces.call_ended(METHOD, code, 0.1, None)
    (span,) = recorded.spans(METHOD[1:])
    assert span.attributes["rpc.response.status_code"] == code
    assert span.status.status_code is StatusCode[status]


async def test_outside_a_call_nothing_is_recorded() -> None:
    recorded = Recorded()
    assert SPAN.get() is None
    recorded.traces.rendered(texts=1, seconds=0.1)
    recorded.traces.call_ended(METHOD, "OK", 0.1, None)
    assert recorded.spans("render") == recorded.spans(METHOD[1:]) == []
