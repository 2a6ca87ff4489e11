"""The seam between the work and whoever watches it: what happened, told as it happens.

`metrics.Metrics` is an observer, and so is `traces.Traces`. The methods are called on the event loop and
must not block or raise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hanjaserve.server.entry import Entry
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """A batch that a runner has finished. Made for every one, so what costs something is computed when asked.

    Attributes:
        runner: What computed it.
        revision: Of the model.
        entries: What was in it.
        outcomes: What became of each entry: candidates, or a HanjaserveError.
        computed_tokens: What it cost, padding included.
        seconds: How long it took.
    """

    runner: str
    revision: str
    entries: Sequence[Entry]
    outcomes: Sequence[object]
    computed_tokens: int
    seconds: float

    @property
    def tokens(self) -> int:
        """Those of the entries, without padding."""
        return sum([entry.tokens for entry in self.entries])

    @property
    def failed(self) -> int:
        """How many entries have no candidates."""
        return sum([isinstance(outcome, HanjaserveError) for outcome in self.outcomes])


class Observer(Protocol):
    """Is told what happens."""

    def call_began(self, method: str, headers: Mapping[str, str | bytes]) -> None:
        """A call of `/package.Service/Method` has come; what follows happens in its context."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """It has ended with a status code; the timing is there if it was let in."""

    def call_refused(self, reason: str) -> None:
        """A call was turned away or failed; the reason is one word."""

    def batch_ended(self, report: BatchReport) -> None:
        """A runner has finished a batch. Its calls are under way, unless they were given up."""

    def rendered(self, *, texts: int, seconds: float) -> None:
        """Texts of the call were written from their candidates."""

    def runner_failed(self, reason: str) -> None:
        """A runner was taken out of service."""

    def reloaded(self, *, ok: bool) -> None:
        """Another model serves from now on, or was found to be unfit."""


class Blind:
    """An observer that looks away; the base of those that look at some things only."""

    def call_began(self, method: str, headers: Mapping[str, str | bytes]) -> None:
        """See `Observer`."""

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""

    def batch_ended(self, report: BatchReport) -> None:
        """See `Observer`."""

    def rendered(self, *, texts: int, seconds: float) -> None:
        """See `Observer`."""

    def runner_failed(self, reason: str) -> None:
        """See `Observer`."""

    def reloaded(self, *, ok: bool) -> None:
        """See `Observer`."""


class Several:
    """Tells several observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def call_began(self, method: str, headers: Mapping[str, str | bytes]) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.call_began(method, headers)

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.call_ended(method, code, seconds, timing)

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.call_refused(reason)

    def batch_ended(self, report: BatchReport) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.batch_ended(report)

    def rendered(self, *, texts: int, seconds: float) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.rendered(texts=texts, seconds=seconds)

    def runner_failed(self, reason: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.runner_failed(reason)

    def reloaded(self, *, ok: bool) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.reloaded(ok=ok)
