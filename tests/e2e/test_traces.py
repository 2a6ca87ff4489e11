"""Traces from the client to the batch: one trace, nothing of the text, and nothing at all when off."""

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="needs hanjaserve[otel]")

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hanjaserve.client import Client, InvalidRequest, RetryPolicy, SyncClient, Unavailable
from hanjaserve.client.traces import Traces as ClientTraces
from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.front import backend_of
from hanjaserve.server.gate import Gate
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import Listener
from hanjaserve.server.model import Model
from hanjaserve.server.models import Models
from hanjaserve.server.service import HanjaService
from hanjaserve.server.traces import Traces

from .process import ServerProcess

TEXT, CONVERTED = "대한민국 수도", "大韓民國 首都"
CONVERT = "hanjaserve.v1.HanjaService/Convert"


class Recorded:
    """Spans of a client and a server, which live in one process here."""

    def __init__(self) -> None:
        self._memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._memory))

    def client(self) -> ClientTraces:
        return ClientTraces(self.provider)

    def spans(self, name: str, kind: SpanKind = SpanKind.INTERNAL) -> list[ReadableSpan]:
        found = self._memory.get_finished_spans()
        return [span for span in found if span.name == name and span.kind is kind]

    def everything(self) -> str:
        return "".join(span.to_json() for span in self._memory.get_finished_spans())


@asynccontextmanager
async def traced(bundle: Path, **settings: Any) -> AsyncIterator[tuple[str, Recorded]]:
    """A server in this process; gives its address."""
    recorded = Recorded()
    config = ServerConfig(port=0, runner="onnxruntime", threads=1, **settings)
    observer = Traces(recorded.provider)
    service = HanjaService(config, Gate(max_concurrent_rpcs=64))
    guard = Guard(callers=Callers(max_calls=64), observer=observer)
    models = Models(lambda: Model.open(bundle, config, observer, on_change=lambda: None), observer)
    async with Listener(config, service, guard) as listener, models:
        await models.load()
        service.go_live(backend_of(models, Glossaries()))
        yield f"127.0.0.1:{listener.port}", recorded


async def test_one_trace_from_the_client_to_the_batch(tiny_bundle: Path) -> None:
    async with traced(tiny_bundle) as (address, recorded):
        async with Client(address, observer=recorded.client()) as client:
            assert (await client.convert(TEXT)).text == CONVERTED
        (call,) = recorded.spans(CONVERT, SpanKind.CLIENT)
        (served,) = recorded.spans(CONVERT, SpanKind.SERVER)
        (queued,), (batch,), (render,) = map(recorded.spans, ("queue", "batch", "render"))
    assert {span.context.trace_id for span in (call, served, queued, batch, render)} == {
        call.context.trace_id
    }
    assert served.parent.span_id == call.context.span_id
    for span in (queued, batch, render):
        assert span.parent.span_id == served.context.span_id
        assert served.start_time <= span.start_time <= span.end_time <= served.end_time
    assert queued.start_time <= queued.end_time == batch.start_time <= batch.end_time <= render.start_time
    assert [link.context.span_id for link in batch.links] == [served.context.span_id]
    assert [link.context.span_id for link in queued.links] == [batch.context.span_id]
    manifest = json.loads((tiny_bundle / "manifest.json").read_text("utf-8"))
    runner = str(batch.attributes["hanjaserve.runner"])
    assert runner.startswith("onnxruntime")
    assert dict(batch.attributes) == {
        "hanjaserve.entries": 1,
        "hanjaserve.failed": 0,
        "hanjaserve.tokens": len(TEXT) + 1,  # and the style
        "hanjaserve.padding_tokens": 0,
        "hanjaserve.runner": runner,
        "hanjaserve.model.revision": manifest["revision"],
    }
    assert dict(queued.attributes)["hanjaserve.priority"] == "interactive"
    for span in (call, served):
        assert span.attributes["rpc.response.status_code"] == "OK"
        assert span.status.status_code is StatusCode.UNSET


async def test_every_way_of_calling_is_traced_and_no_text_gets_in(tiny_bundle: Path) -> None:
    def call_sync(address: str) -> None:
        with SyncClient(address, observer=recorded.client()) as client:
            with recorded.provider.get_tracer("test").start_as_current_span("program"):
                assert client.convert_batch([TEXT] * 5)[4].text == CONVERTED
            assert next(iter(client.convert_stream([TEXT]))).text == CONVERTED

    async with traced(tiny_bundle, max_batch_items=2) as (address, recorded):
        await asyncio.to_thread(call_sync, address)
        async with Client(address, observer=recorded.client()) as client:
            assert [result.text async for result in client.convert_stream([TEXT] * 3)] == [CONVERTED] * 3
            async with client.live() as live:
                await live.edit(0, 0, TEXT)
                await live.commit()
                assert live.text == CONVERTED
    for method, calls in (("BatchConvert", 3), ("StreamConvert", 2), ("LiveConvert", 1)):
        name = f"hanjaserve.v1.HanjaService/{method}"
        clients = recorded.spans(name, SpanKind.CLIENT)
        servers = recorded.spans(name, SpanKind.SERVER)
        assert len(clients) == len(servers) == calls
        assert {s.parent.span_id for s in servers} == {s.context.span_id for s in clients}
    (program,) = recorded.spans("program")
    for span in recorded.spans("hanjaserve.v1.HanjaService/BatchConvert", SpanKind.CLIENT):
        assert span.parent.span_id == program.context.span_id
    for letter in set(TEXT + CONVERTED) - {" "}:
        assert letter not in recorded.everything() and json.dumps(letter)[1:-1] not in recorded.everything()


async def test_errors_are_recorded_with_their_code(tiny_bundle: Path) -> None:
    async with traced(tiny_bundle) as (address, recorded):
        async with Client(address, observer=recorded.client()) as client:
            with pytest.raises(InvalidRequest):
                await client.convert(TEXT, style="baroque")
        quick = RetryPolicy(max_attempts=2, initial_delay_s=0.01)
        async with Client("127.0.0.1:1", observer=recorded.client(), retry=quick) as nowhere:
            with pytest.raises(Unavailable):
                await nowhere.convert(TEXT)
    (served,) = recorded.spans(CONVERT, SpanKind.SERVER)
    assert served.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert served.attributes["hanjaserve.refusal"] == "bad_option"
    assert served.status.status_code is StatusCode.UNSET  # the caller is at fault
    refused, unreachable = recorded.spans(CONVERT, SpanKind.CLIENT)
    assert refused.attributes["error.type"] == "INVALID_ARGUMENT"
    assert unreachable.attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert {span.status.status_code for span in (refused, unreachable)} == {StatusCode.ERROR}
    assert "baroque" not in recorded.everything()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Receives spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def Export(self, request: Any, context: Any) -> Any:
        self.requests.put(request)
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[tuple[str, Collector]]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", collector
    server.stop(None).wait()


@pytest.mark.parametrize("flags", [(), ("--frontends", "1")], ids=["one process", "engine and front-end"])
def test_spans_reach_a_collector_before_the_server_ends(tiny_bundle: Path, flags: tuple[str, ...]) -> None:
    with collecting() as (endpoint, collector):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "hanja-blue"}
        with ServerProcess(tiny_bundle, *flags, env={**env, "HANJASERVE_TRACES": "env"}) as server:
            with SyncClient(server.address) as client:
                assert client.convert(TEXT).text == CONVERTED
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
        received = [collector.requests.get_nowait() for _ in range(collector.requests.qsize())]
    resources = [resource for request in received for resource in request.resource_spans]
    for resource in resources:
        named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        assert named["service.name"] == "hanja-blue"
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    (served,) = (span for span in spans if span.name == CONVERT)
    below = {span.name for span in spans if span.parent_span_id == served.span_id}
    assert below == {"queue", "batch", "render"}
    assert {span.trace_id for span in spans if span.name in below} == {served.trace_id}


def test_no_collector_harms_nobody(tiny_bundle: Path) -> None:
    with ServerProcess(tiny_bundle, "--traces", "http://127.0.0.1:1") as server:
        with SyncClient(server.address) as client:
            assert client.convert(TEXT).text == CONVERTED
        server.signal(signal.SIGTERM)
        assert server.wait(6) == 0
    assert not any("Traceback" in line for line in server.log)
    assert all(line.startswith("{") for line in server.log), "what OpenTelemetry says is JSON as well"


def test_what_cannot_work_is_said_at_once(tiny_bundle: Path) -> None:
    serve = [sys.executable, "-m", "hanjaserve.server", "--bundle", str(tiny_bundle), "--port", "0"]
    for value, env, message in (
        ("localhost:4317", {}, "traces is 'localhost:4317': use http://HOST:PORT or env"),
        ("env", {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "see OTEL_* variables"),
    ):
        done = subprocess.run(
            [*serve, "--traces", value], capture_output=True, text=True, timeout=30, env={**os.environ, **env}
        )
        assert done.returncode == 2 and message in done.stderr
        assert "Traceback" not in done.stderr


def test_nothing_is_imported_when_off(tiny_bundle: Path) -> None:
    """A server and its clients, in a process that would tell."""
    program = f"""
import asyncio, os, signal, sys, threading
from hanjaserve.client import Client, SyncClient
from hanjaserve.server import app

async def call():
    async with Client("127.0.0.1:{{}}".format(port)) as client:
        return (await client.convert({TEXT!r})).text

def use(config, backend, at):
    global port
    port = at
    threading.Thread(target=run).start()
    return ""

def run():
    with SyncClient("127.0.0.1:{{}}".format(port)) as client:
        assert client.convert({TEXT!r}).text == asyncio.run(call()) == {CONVERTED!r}
    assert not [name for name in sys.modules if name.startswith("opentelemetry")]
    print("converted", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

app.banner = use
flags = ["--bundle", {str(tiny_bundle)!r}, "--port", "0", "--threads", "1", "--runner", "onnxruntime"]
sys.exit(app.main(flags))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "converted"), done.stderr
