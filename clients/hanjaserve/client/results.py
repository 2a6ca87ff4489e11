"""What the client returns: frozen values, free of protobuf."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import grpc

from hanjaserve.client.errors import ConvertError, Internal, error_from_status
from hanjaserve.v1 import hanjaserve_pb2 as pb


class SpanSource(StrEnum):
    """What decided about a span."""

    MODEL = "model"
    GLOSSARY = "glossary"
    READING = "reading"
    """Hanja that stand in the input, with their reading."""
    KEPT = "kept"
    """Nothing: text that stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another way to write a converted word, with its probability."""

    hanja: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One converted word, or with `with_kept` the text between two.

    Attributes:
        start: Where it starts in the input text, in code points.
        end: Where it ends (exclusive).
        hangul: The word in Hangul: 수도.
        hanja: The word in Hanja: 首都; empty for text that is kept.
        score: The probability that the model gives it, in [0, 1].
        alternatives: Other choices (水道), best first.
        source: What decided: the model, the glossary, or Hanja in the input itself.
    """

    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: tuple[Alternative, ...] = ()
    source: SpanSource = SpanSource.MODEL

    @property
    def text(self) -> str:
        """What stands in the input."""
        return self.hanja if self.source is SpanSource.READING else self.hangul


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted text.

    Attributes:
        text: The text in the requested rendering.
        spans: The converted words in text order; empty unless `with_spans` was asked for.
    """

    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """Why one text of many was not converted; its neighbours are not affected.

    It is a value, not an exception, since it stands in lists: `raise item.error` if need be.
    """

    error: ConvertError

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code of the error."""
        return self.error.code

    @property
    def message(self) -> str:
        """What the server said."""
        return self.error.message


Result: TypeAlias = Conversion | ItemError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the server accepts."""

    max_text_code_points: int
    max_batch_items: int
    max_message_bytes: int
    max_stream_in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What is served, by which runner, within which limits.

    Attributes:
        version: The version of the server.
        model: The name of the model bundle.
        model_revision: Its content hash; results may change when it does.
        scheme: "syllable" or "word".
        runner: What computes, such as "onnxruntime".
        ladder: Which runners were skipped, and why.
        limits: What the server accepts.
        styles: The values that the option `style` may take.
        ready: Whether conversions are accepted right now.
        frontends: How many front-end processes share the port; 0 if one process does everything.
    """

    version: str
    model: str
    model_revision: str
    scheme: str
    runner: str
    ladder: tuple[str, ...]
    limits: Limits
    styles: tuple[str, ...]
    ready: bool
    frontends: int = 0


def conversion_from_proto(message: pb.Conversion) -> Conversion:
    """The value of a message."""
    return Conversion(text=message.text, spans=tuple(map(span_from_proto, message.spans)))


def span_from_proto(message: pb.Span) -> Span:
    """The value of a message."""
    return Span(
        start=message.start,
        end=message.end,
        hangul=message.hangul,
        hanja=message.hanja,
        score=message.score,
        alternatives=tuple(Alternative(hanja=a.hanja, score=a.score) for a in message.alternatives),
        source=_SOURCES.get(message.source, SpanSource.MODEL),
    )


_SOURCES = {
    pb.SPAN_SOURCE_MODEL: SpanSource.MODEL,
    pb.SPAN_SOURCE_GLOSSARY: SpanSource.GLOSSARY,
    pb.SPAN_SOURCE_READING: SpanSource.READING,
    pb.SPAN_SOURCE_KEPT: SpanSource.KEPT,
}


def result_from_proto(message: pb.ItemResult | pb.StreamResult) -> Result:
    """What became of one item: its conversion or its error."""
    match message.WhichOneof("outcome"):
        case "conversion":
            return conversion_from_proto(message.conversion)
        case "error":
            return ItemError(error=error_from_status(message.error))
    return ItemError(error=Internal("the server sent a result without an outcome"))


def server_info_from_proto(message: pb.GetServerInfoResponse) -> ServerInfo:
    """The value of a message."""
    limits = message.limits
    return ServerInfo(
        version=message.version,
        model=message.model,
        model_revision=message.model_revision,
        scheme=message.scheme,
        runner=message.runner,
        ladder=tuple(message.ladder),
        limits=Limits(
            max_text_code_points=limits.max_text_code_points,
            max_batch_items=limits.max_batch_items,
            max_message_bytes=limits.max_message_bytes,
            max_stream_in_flight=limits.max_stream_in_flight,
        ),
        styles=tuple(message.styles),
        ready=message.ready,
        frontends=message.frontends,
    )
