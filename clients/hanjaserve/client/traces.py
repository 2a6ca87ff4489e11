"""Traces of a client, as OpenTelemetry spans; they go on in a server that traces as well.

    from hanjaserve.client.traces import Traces

    client = Client(target, observer=Traces())

One span per call, retries included, below the span that is current where it is made. Needs the package
`opentelemetry-api`; whoever runs the program sets up where spans go. What goes along as headers is W3C
trace context (https://www.w3.org/TR/trace-context/); what is in a span is in server/traces.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.message import Message
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hanjaserve.client.access import Metadata
from hanjaserve.client.errors import ConvertError
from hanjaserve.v1 import hanjaserve_pb2 as pb


class Traces:
    """An observer that makes spans.

    Args:
        provider: Where they go; None for the program's own.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("hanjaserve.client", tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()
        self._names = {
            method.input_type.full_name: f"{service.full_name}/{method.name}"
            for service in pb.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    @contextmanager
    def call(self, request: type[Message]) -> Iterator[Metadata]:
        """See `Observer.call`."""
        name = self._names[request.DESCRIPTOR.full_name]
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}
        # Not made the current one: streams are generators, and would leave it with their caller.
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        headers: dict[str, str] = {}
        self._propagator.inject(headers, set_span_in_context(span))
        code = "OK"
        try:
            yield tuple(headers.items())
        except ConvertError as error:
            code = error.code.name
            raise
        except BaseException as error:
            code = "UNKNOWN" if isinstance(error, Exception) else "CANCELLED"
            raise
        finally:
            _end(span, code)


def _end(span: Span, code: str) -> None:
    span.set_attribute("rpc.response.status_code", code)
    if code != "OK":
        span.set_attribute("error.type", code)
        span.set_status(StatusCode.ERROR)
    span.end()
