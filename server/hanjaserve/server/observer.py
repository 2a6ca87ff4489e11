"""The seam between the work and whoever watches it: what happened, told as it happens.

`metrics.Metrics` is an observer. The methods are called on the event loop and must not block or raise.
"""

from typing import Protocol

from hanjaserve.server.timing import Timing


class Observer(Protocol):
    """Is told about every call; `metrics.Metrics` is one."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """A call has ended with a status code."""

    def call_refused(self, reason: str) -> None:
        """A call was turned away; the reason is one word."""


class Blind:
    """An observer that looks away."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""
