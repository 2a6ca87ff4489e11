"""Errors of ours as JSON, so that they can be raised in another process."""

from hanjaserve.server.errors import (
    BadOption,
    DeadlineExpired,
    DeviceLost,
    Draining,
    HanjaserveError,
    LimitReached,
    NotFound,
    OutOfDeviceMemory,
    Overloaded,
    RuntimeFault,
    StateChanged,
)

PLAIN = (
    DeadlineExpired, DeviceLost, Draining, LimitReached, NotFound, OutOfDeviceMemory, RuntimeFault,
    StateChanged,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in PLAIN}

Fault = dict[str, object]


def fault_of(error: HanjaserveError) -> Fault:
    """What JSON can carry of an error; one that has no business between processes becomes a RuntimeFault."""
    match error:
        case Overloaded():
            details = {"retry_after_s": error.retry_after_s, "reason": error.reason}
            return {"kind": "Overloaded", "message": str(error), **details}
        case BadOption():
            return {"kind": "BadOption", "message": str(error), "field": error.field}
    known = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KINDS), "RuntimeFault")
    return {"kind": known, "message": str(error)}


def error_of(fault: Fault) -> HanjaserveError:
    """The error of `fault_of`.

    Raises:
        KeyError: It is none.
        ValueError: A number is none.
    """
    kind, message = fault["kind"], str(fault["message"])
    if kind == "Overloaded":
        retry_after_s, reason = float(str(fault["retry_after_s"])), str(fault["reason"])
        return Overloaded(message, retry_after_s=retry_after_s, reason=reason)
    if kind == "BadOption":
        return BadOption(str(fault["field"]), message)
    return KINDS[str(kind)](message)
