"""Errors as gRPC statuses: the one table, and the details that go with a code.

A class takes the code of its nearest ancestor in the table. What is not one of ours is a mistake in
the server: INTERNAL with a constant message, since its own message may quote the user's text.

Details follow https://google.aip.dev/193: BadRequest.field_violations for a bad request,
RetryInfo for overload and restarts. They reach the caller inside an item, or in the trailing metadata of a
failed call.
"""

from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from hanjaserve.server.errors import (
    BadOption,
    BatchTooLarge,
    BuildError,
    BundleError,
    ConfigError,
    DeadlineExpired,
    DeviceLost,
    Draining,
    Forbidden,
    HanjaserveError,
    InvalidText,
    LimitReached,
    NotFound,
    OutOfDeviceMemory,
    Overloaded,
    RequestError,
    RuntimeFault,
    StateChanged,
    TextTooLong,
    Unauthenticated,
)

CODES: dict[type[HanjaserveError], grpc.StatusCode] = {
    RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    StateChanged: grpc.StatusCode.FAILED_PRECONDITION,
    LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExpired: grpc.StatusCode.DEADLINE_EXCEEDED,
    Draining: grpc.StatusCode.UNAVAILABLE,
    BundleError: grpc.StatusCode.FAILED_PRECONDITION,
    ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
    BuildError: grpc.StatusCode.INTERNAL,
    RuntimeFault: grpc.StatusCode.INTERNAL,
    OutOfDeviceMemory: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeviceLost: grpc.StatusCode.UNAVAILABLE,
}
INTERNAL_MESSAGE = "internal error: the server has logged it under this call's hanjaserve-rpc-id"
DETAILS_KEY = "grpc-status-details-bin"
CALL_ID_KEY = "hanjaserve-rpc-id"


def code_of(error: Exception) -> grpc.StatusCode:
    """The status code of an error; INTERNAL for what is not one of ours."""
    for ancestor in type(error).__mro__:
        if ancestor in CODES:
            return CODES[ancestor]
    return grpc.StatusCode.INTERNAL


def status_of(error: Exception) -> status_pb2.Status:
    """The google.rpc.Status of an error, with details."""
    number: int = code_of(error).value[0]
    if not isinstance(error, HanjaserveError):
        return status_pb2.Status(code=number, message=INTERNAL_MESSAGE)
    return status_pb2.Status(code=number, message=str(error), details=_details(error))


async def abort(context: Any, error: Exception, call_id: str = "") -> NoReturn:
    """End the call of a `grpc.aio.ServicerContext` with the status of an error and its details.

    Args:
        context: The call.
        error: Why it ends.
        call_id: By which the log names the call; the caller gets it in the trailing metadata.
    """
    status = status_of(error)
    trailer: tuple[tuple[str, str | bytes], ...] = ((CALL_ID_KEY, call_id),) if call_id else ()
    if status.details:
        trailer = (*trailer, (DETAILS_KEY, status.SerializeToString()))
    await context.abort(code_of(error), status.message, trailing_metadata=trailer)
    raise AssertionError("context.abort returned. This is a bug.")


def _details(error: HanjaserveError) -> list[AnyMessage]:
    if isinstance(error, RequestError):
        field, reason = _at_fault(error)
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=field, description=str(error), reason=reason
        )
        return [_packed(error_details_pb2.BadRequest(field_violations=[violation]))]
    if isinstance(error, Overloaded | Draining) and error.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(int(1e9 * error.retry_after_s))
        return [_packed(error_details_pb2.RetryInfo(retry_delay=delay))]
    return []


def _at_fault(error: RequestError) -> tuple[str, str]:
    """The field at fault, and the reason by which a client can tell one fault from another."""
    match error:
        case BadOption():
            return error.field, "BAD_OPTION"
        case TextTooLong():
            return "text", "TEXT_TOO_LONG"
        case BatchTooLarge():
            return "texts", "BATCH_TOO_LARGE"
        case InvalidText():
            return "text", "INVALID_TEXT"
    return "", "INVALID_REQUEST"


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
