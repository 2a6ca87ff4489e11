import asyncio
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2

from hanjaserve.server import errors, status


def subclasses(base: type[errors.HanjaserveError]) -> Iterator[type[errors.HanjaserveError]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def example(kind: type[errors.HanjaserveError]) -> errors.HanjaserveError:
    if issubclass(kind, errors.BadOption):
        return kind("options.style", "the style is wrong")
    return kind("it went wrong")


@pytest.mark.parametrize("kind", sorted(subclasses(errors.HanjaserveError), key=str))
def test_every_error_has_a_code_of_its_own_or_its_ancestor(
    kind: type[errors.HanjaserveError],
) -> None:
    ancestors = set(kind.__mro__) & set(status.CODES)
    assert ancestors, f"{kind.__name__} is missing from status.CODES"
    message = status.status_of(example(kind))
    assert message.code == status.code_of(example(kind)).value[0]
    assert message.code > 0
    assert message.message == str(example(kind))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.TextTooLong, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.BatchTooLarge, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.BadOption, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.DeadlineExpired, grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.Draining, grpc.StatusCode.UNAVAILABLE),
        (errors.BundleError, grpc.StatusCode.FAILED_PRECONDITION),
        (errors.RuntimeFault, grpc.StatusCode.INTERNAL),
    ],
)
def test_codes(kind: type[errors.HanjaserveError], code: grpc.StatusCode) -> None:
    assert status.code_of(example(kind)) is code


def test_bad_option_names_the_field() -> None:
    message = status.status_of(errors.BadOption("options.style", "use another"))
    details = error_details_pb2.BadRequest()
    assert message.details[0].Unpack(details)
    assert details.field_violations[0].field == "options.style"
    assert details.field_violations[0].description == "use another"


def test_overload_says_when_to_retry() -> None:
    message = status.status_of(errors.Overloaded("busy", retry_after_s=1.5))
    details = error_details_pb2.RetryInfo()
    assert message.details[0].Unpack(details)
    assert details.retry_delay.ToTimedelta().total_seconds() == 1.5


def test_unknown_exception_does_not_leak() -> None:
    message = status.status_of(ValueError("대한민국"))
    assert message.code == grpc.StatusCode.INTERNAL.value[0]
    assert message.message == status.INTERNAL_MESSAGE


def test_cancellation_is_not_an_error_of_ours() -> None:
    assert not issubclass(asyncio.CancelledError, Exception)
