"""The errors that the client raises, and how gRPC statuses become them.

    ConvertError                    any failed call; `code` tells which gRPC status it was
    ├── InvalidRequest              the request is at fault: `field_violations` says where
    │   └── TextTooLong             a text or message is over the server's limit
    ├── Overloaded                  the server is too busy: try again after `retry_after_s`
    ├── DeadlineExceeded            no answer in time
    ├── Unavailable                 no server there, or it is starting or stopping
    └── Internal                    a fault of the server

Statuses without a class of their own (UNAUTHENTICATED, UNIMPLEMENTED ...) are plain ConvertErrors.
Only `Overloaded` with a `retry_after_s` and `Unavailable` are worth a retry; `retry.py` does that.

The details of a status are read straight from the `grpc-status-details-bin` trailer
(https://google.aip.dev/193), so that grpcio-status is not needed here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_TRAILER = "grpc-status-details-bin"
# What gRPC itself says when a message is over the receiver's or its own limit.
_OVERSIZE = "message larger than max"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of the request that the server refused, and why."""

    field: str
    description: str
    reason: str = ""


class ConvertError(Exception):
    """A call that failed.

    Attributes:
        code: The gRPC status code.
        message: What the server (or gRPC) said.
    """

    def __init__(self, message: str, *, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class InvalidRequest(ConvertError):
    """The request is at fault; sending it again cannot help.

    Attributes:
        field_violations: The fields that were refused.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT,
        field_violations: tuple[FieldViolation, ...] = (),
    ) -> None:
        super().__init__(message, code=code)
        self.field_violations = field_violations


class TextTooLong(InvalidRequest):
    """A text, or the message that carries it, is over the server's limit."""


class Overloaded(ConvertError):
    """The server is too busy to answer within the deadline.

    Attributes:
        retry_after_s: When the server wants to be asked again; None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ConvertError):
    """No answer came in time."""

    def __init__(self, message: str, *, code: grpc.StatusCode = grpc.StatusCode.DEADLINE_EXCEEDED) -> None:
        super().__init__(message, code=code)


class Unavailable(ConvertError):
    """No server is there, or it is starting or stopping.

    Attributes:
        retry_after_s: When the server expects to be back; None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Internal(ConvertError):
    """A fault of the server."""

    def __init__(self, message: str, *, code: grpc.StatusCode = grpc.StatusCode.INTERNAL) -> None:
        super().__init__(message, code=code)


@dataclass(slots=True, kw_only=True)
class _Details:
    """What the details of a google.rpc.Status hold that the client understands."""

    violations: list[FieldViolation] = field(default_factory=list)
    retry_after_s: float | None = None


def _read_details(status: status_pb2.Status) -> _Details:
    found = _Details()
    bad_request, retry_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(bad_request):
            found.violations += [
                FieldViolation(
                    field=violation.field,
                    description=violation.description,
                    reason=violation.reason,
                )
                for violation in bad_request.field_violations
            ]
        elif detail.Unpack(retry_info):
            delay = retry_info.retry_delay
            found.retry_after_s = delay.seconds + delay.nanos / 1e9
    return found


def error_from_status(status: status_pb2.Status) -> ConvertError:
    """The error for a google.rpc.Status, as it stands in the item results of a message."""
    return _error(_code_from_number(status.code), status.message, _read_details(status))


def error_from_rpc(error: grpc.RpcError) -> ConvertError:
    """The error for a failed call, sync (grpc.Call) or aio (grpc.aio.AioRpcError)."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return Internal(f"gRPC failed without a status: {error!r}", code=grpc.StatusCode.UNKNOWN)
    details = _Details()
    for key, value in _pairs(error.trailing_metadata()):
        if key == _DETAILS_TRAILER and isinstance(value, bytes):
            try:
                details = _read_details(status_pb2.Status.FromString(value))
            except DecodeError:
                pass  # the code and the message still tell what happened
    return _error(error.code(), error.details() or "", details)


def _pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterable[tuple[str, str | bytes]]:
    return metadata or ()


def _code_from_number(number: int) -> grpc.StatusCode:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return code
    return grpc.StatusCode.UNKNOWN


def _error(code: grpc.StatusCode, message: str, details: _Details) -> ConvertError:
    codes = grpc.StatusCode
    match code:
        case codes.INVALID_ARGUMENT | codes.OUT_OF_RANGE:
            too_long = any(v.reason == "TEXT_TOO_LONG" for v in details.violations)
            kind = TextTooLong if too_long else InvalidRequest
            return kind(message, code=code, field_violations=tuple(details.violations))
        case codes.RESOURCE_EXHAUSTED:
            if details.retry_after_s is None and _OVERSIZE in message:
                return TextTooLong(message, code=code)
            return Overloaded(message, code=code, retry_after_s=details.retry_after_s)
        case codes.DEADLINE_EXCEEDED:
            return DeadlineExceeded(message, code=code)
        case codes.UNAVAILABLE | codes.CANCELLED:
            # A caller who cancels gets no error of it: this was a server at the end of its grace.
            return Unavailable(message, code=code, retry_after_s=details.retry_after_s)
        case codes.INTERNAL | codes.UNKNOWN | codes.DATA_LOSS:
            return Internal(message, code=code)
    return ConvertError(message, code=code)
