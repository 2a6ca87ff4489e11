"""The Python client of hanjaserve.

    from hanjaserve.client import Client, SyncClient

    with SyncClient("127.0.0.1:50051") as client:
        client.convert("대한민국의 수도는 서울이다").text    # 大韓民國의 首都는 서울이다

`Client` is the same for asyncio. Needs gRPC and the generated messages, nothing of the server.
"""

from hanjaserve.client.access import tls
from hanjaserve.client.aio import Client
from hanjaserve.client.channel import DEFAULT_TARGET
from hanjaserve.client.errors import (
    ConvertError,
    DeadlineExceeded,
    FieldViolation,
    Internal,
    InvalidRequest,
    Overloaded,
    TextTooLong,
    Unavailable,
)
from hanjaserve.client.glossary import GlossaryEntry, GlossaryInfo, GlossaryReference
from hanjaserve.client.live import LiveSession
from hanjaserve.client.live_document import Splice
from hanjaserve.client.live_view import (
    LiveEvent,
    LiveSegment,
    LiveView,
    RevisionRejected,
    RevisionsDone,
    SegmentsInvalidated,
    SessionResumed,
)
from hanjaserve.client.options import CharacterSet, ConvertOptions, Rendering
from hanjaserve.client.results import (
    Alternative,
    Conversion,
    ItemError,
    Limits,
    Result,
    ServerInfo,
    Span,
    SpanSource,
)
from hanjaserve.client.retry import RetryPolicy
from hanjaserve.client.sync import SyncClient

__all__ = [
    "DEFAULT_TARGET",
    "Alternative",
    "CharacterSet",
    "Client",
    "Conversion",
    "ConvertError",
    "ConvertOptions",
    "DeadlineExceeded",
    "FieldViolation",
    "GlossaryEntry",
    "GlossaryInfo",
    "GlossaryReference",
    "Internal",
    "InvalidRequest",
    "ItemError",
    "Limits",
    "LiveEvent",
    "LiveSegment",
    "LiveSession",
    "LiveView",
    "Overloaded",
    "Rendering",
    "Result",
    "RetryPolicy",
    "RevisionRejected",
    "RevisionsDone",
    "SegmentsInvalidated",
    "ServerInfo",
    "SessionResumed",
    "Span",
    "SpanSource",
    "Splice",
    "SyncClient",
    "TextTooLong",
    "Unavailable",
    "tls",
]
