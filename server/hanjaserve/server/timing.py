"""Where the time of a call goes: filled in by the pool, read by the log line of the call.

A context variable carries the record, because the layers between (converter, codec) have no
business with it. Tasks inherit it, so the groups of a stream add to the record of their call.
"""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Timing:
    """What one call has used so far.

    Attributes:
        tokens: Tokens queued, without padding.
        queue_us: Longest time from being queued to being started, in microseconds.
        run_us: Longest time of a batch in which the call took part, in microseconds.
    """

    tokens: int = 0
    queue_us: int = 0
    run_us: int = 0


CALL_ID: ContextVar[str] = ContextVar("hanjaserve_call_id", default="-")
"""By which the log names the call that is under way."""
CALLER: ContextVar[str] = ContextVar("hanjaserve_caller", default="-")
"""Whose call it is: the name of a token or certificate, or an address."""
FLOW: ContextVar[object] = ContextVar("hanjaserve_flow", default=None)
"""With what the call shares its turns in the queue: that caller, or the connection of a nameless one."""
SPAN: ContextVar[object] = ContextVar("hanjaserve_span", default=None)
"""The call under way as an observer that traces knows it, or the traceparent of one in another process."""
TRACEPARENT: ContextVar[str] = ContextVar("hanjaserve_traceparent", default="")
"""What such an observer has other processes told about the call; empty for nothing."""
CURRENT: ContextVar[Timing | None] = ContextVar("hanjaserve_timing", default=None)
