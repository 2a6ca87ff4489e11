"""Traces: the way of a call as OpenTelemetry spans, sent to a collector over OTLP.

    client > server call > queue     from being queued until a batch began, once for every batch it was in
                         > batch     on a runner; below its oldest call, and linked to all of them
                         > render    candidates become text

With --frontends, the front-end and the engine process each tell their part, and the traceparent goes along.

`Traces` is an observer; this module is imported, and OpenTelemetry needed, only with `--traces`. Spans are
made when they have ended, from the times that every observer is told.

Never in a span: texts, results, tokens of callers, addresses. Of what a stranger sends, a well-formed
`traceparent` and `x-request-id` get in. `tracestate` and baggage don't: nobody behind us wants them,
and the SDK logs what it can't parse.

Names: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hanjaserve.server.config import TRACES_FROM_ENV
from hanjaserve.server.entry import Entry
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.observer import BatchReport, Blind
from hanjaserve.server.timing import CALL_ID, SPAN, TRACEPARENT, Timing

HEADER = "traceparent"
LONGEST_HEADER = 512
"""Cut here, lest the SDK logs a warning whenever somebody sends more."""
FLUSH_S = 2.0
"""How long the server's end may be put off for spans that are left."""
OUR_FAULT = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that make the span of a server an error; with the others, the caller is at fault."""


class Traces(Blind):
    """An observer that makes spans.

    Args:
        provider: Where the spans go.
        clock: That of the pool.
    """

    def __init__(self, provider: TracerProvider, clock: Callable[[], float] = time.monotonic) -> None:
        self._tracer = provider.get_tracer("hanjaserve.server", version("hanjaserve"))
        self._propagator = TraceContextTextMapPropagator()
        self._clock = clock

    def call_began(self, method: str, headers: Mapping[str, str | bytes]) -> None:
        """See `Observer`."""
        given = headers.get(HEADER)
        carrier = {HEADER: given[:LONGEST_HEADER]} if isinstance(given, str) else {}
        parent = self._propagator.extract(carrier, Context())
        name = method.removeprefix("/")
        attributes = {"rpc.system.name": "grpc", "rpc.method": name, "hanjaserve.rpc_id": CALL_ID.get()}
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
        SPAN.set(span)
        if span.is_recording():
            to_others: dict[str, str] = {}
            self._propagator.inject(to_others, set_span_in_context(span))
            TRACEPARENT.set(to_others[HEADER])

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""
        span = _recorded(SPAN.get())
        if span is None:
            return
        span.set_attribute("rpc.response.status_code", code)
        if timing is not None:
            span.set_attribute("hanjaserve.tokens", timing.tokens)
        if code != "OK":
            span.set_attribute("error.type", code)
        if code in OUR_FAULT:
            span.set_status(StatusCode.ERROR)
        span.end()

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""
        if span := _recorded(SPAN.get()):
            span.set_attribute("hanjaserve.refusal", reason)

    def batch_ended(self, report: BatchReport) -> None:
        """See `Observer`."""
        of_call: dict[object, list[Entry]] = {}
        for entry in report.entries:
            of_call.setdefault(entry.span, []).append(entry)
        calls = {call: entries for span, entries in of_call.items() if (call := self._sampled(span))}
        if not calls:
            return
        now, ended = self._clock(), time.time_ns()
        started = ended - _nanoseconds(report.seconds)
        batch = self._tracer.start_span(
            "batch",
            set_span_in_context(next(iter(calls))),
            attributes=_batch_attributes(report),
            links=[Link(span.get_span_context()) for span in calls],
            start_time=started,
        )
        if report.failed:
            batch.set_status(StatusCode.ERROR)
        batch.end(ended)
        for span, entries in calls.items():
            waiting_since = ended - _nanoseconds(now - min([entry.enqueued_at for entry in entries]))
            self._queued(span, entries, batch, waiting_since, started)

    def rendered(self, *, texts: int, seconds: float) -> None:
        """See `Observer`."""
        if span := _recorded(SPAN.get()):
            ended = time.time_ns()
            render = self._tracer.start_span(
                "render",
                set_span_in_context(span),
                attributes={"hanjaserve.texts": texts},
                start_time=ended - _nanoseconds(seconds),
            )
            render.end(ended)

    def _sampled(self, span: object) -> Span | None:
        """The span of a call in this process or in another one, if it is sampled."""
        if isinstance(span, str):
            span = get_current_span(self._propagator.extract({HEADER: span}, Context()))
        return span if isinstance(span, Span) and span.get_span_context().trace_flags.sampled else None

    def _queued(self, call: Span, entries: Sequence[Entry], batch: Span, since: int, until: int) -> None:
        """Record the wait of a call's entries, with a link to the batch, which may be in another trace."""
        queue = self._tracer.start_span(
            "queue",
            set_span_in_context(call),
            attributes={
                "hanjaserve.entries": len(entries),
                "hanjaserve.tokens": sum([entry.tokens for entry in entries]),
                "hanjaserve.priority": entries[0].priority.name.lower(),
            },
            links=[Link(batch.get_span_context())],
            start_time=min(since, until),
        )
        queue.end(until)


@contextmanager
def exporting(destination: str) -> Iterator[Traces]:
    """Send spans to a collector while the block runs, and what is left at its end.

    Args:
        destination: http://HOST:PORT, https://HOST:PORT, or TRACES_FROM_ENV. The OTEL_* variables say
            the rest: headers, certificates, sampling, resource, queue.

    Raises:
        ConfigError: The SDK can't be set up so.
    """
    own = Resource({"service.name": "hanjaserve", "service.version": version("hanjaserve")})
    try:
        resource = Resource.create(dict(own.merge(OTELResourceDetector().detect()).attributes))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=None if destination == TRACES_FROM_ENV else destination)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as error:  # the SDK raises whatever the value of a variable led to
        raise ConfigError(f"traces can't be sent to {destination}: {error}; see OTEL_* variables") from None
    try:
        yield Traces(provider)
    finally:
        # It waits for a collector that does not answer, up to half a minute.
        flushing = threading.Thread(target=provider.shutdown, name="traces-flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_S)


def _recorded(span: object) -> Span | None:
    """The span, if it is one that is recorded and has not ended."""
    return span if isinstance(span, Span) and span.is_recording() else None


def _batch_attributes(report: BatchReport) -> dict[str, str | int | float]:
    tokens, computed = report.tokens, report.computed_tokens
    return {
        "hanjaserve.entries": len(report.entries),
        "hanjaserve.failed": report.failed,
        "hanjaserve.tokens": tokens,
        "hanjaserve.padding_tokens": computed - tokens,
        "hanjaserve.runner": report.runner,
        "hanjaserve.model.revision": report.revision,
    }


def _nanoseconds(seconds: float) -> int:
    return int(1e9 * seconds)
