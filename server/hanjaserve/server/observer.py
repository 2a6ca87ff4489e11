"""The seam between the work and whoever watches it: what happened, told as it happens.

`metrics.Metrics` is an observer. The methods are called on the event loop and must not block or raise.
"""

from typing import Protocol

from hanjaserve.server.timing import Timing


class Observer(Protocol):
    """Is told what happens."""

    def call_began(self, method: str) -> None:
        """A call of `/package.Service/Method` has come."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """It has ended with a status code; the timing is there if it was let in."""

    def call_refused(self, reason: str) -> None:
        """A call was turned away or failed; the reason is one word."""

    def batch_ended(self, *, entries: int, tokens: int, computed_tokens: int, seconds: float) -> None:
        """A runner has finished a batch; `computed_tokens` count the padding as well."""

    def runner_failed(self, reason: str) -> None:
        """A runner was taken out of service."""

    def reloaded(self, *, ok: bool) -> None:
        """Another model serves from now on, or was found to be unfit."""


class Blind:
    """An observer that looks away."""

    def call_began(self, method: str) -> None:
        """See `Observer`."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""

    def batch_ended(self, *, entries: int, tokens: int, computed_tokens: int, seconds: float) -> None:
        """See `Observer`."""

    def runner_failed(self, reason: str) -> None:
        """See `Observer`."""

    def reloaded(self, *, ok: bool) -> None:
        """See `Observer`."""
