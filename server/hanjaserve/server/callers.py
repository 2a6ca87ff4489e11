"""How much one caller may take: calls at a time, calls per second, bytes per second.

Pure: no event loop, no gRPC; the clock is a parameter. A rate is a bucket that fills at the rate and
holds one second's worth. Bytes may overdraw it once, so that a message of any size passes, and the next
one waits until the debt is paid.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hanjaserve.server.errors import Overloaded

# Accounts of idle callers are thrown away when there are more than this.
MANY = 10_000
RETRY_WHEN_FULL_S = 0.2


class Bucket:
    """So many per second, and no more than one second's worth at once; 0 is no limit."""

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = per_s
        self._level = per_s
        self._filled_at = now

    def wait_s(self, now: float) -> float:
        """Seconds until something can be taken; 0 for now."""
        if not self._per_s:
            return 0.0
        self._fill(now)
        return 0.0 if self._level > 0 else (1e-3 - self._level) / self._per_s

    def take(self, amount: float, now: float) -> None:
        """Take an amount, into debt if need be."""
        if self._per_s:
            self._fill(now)
            self._level -= amount

    def is_full(self, now: float) -> bool:
        """Whether it is as good as new."""
        self._fill(now)
        return self._level >= self._per_s

    def _fill(self, now: float) -> None:
        gained = max(0.0, now - self._filled_at) * self._per_s
        self._level = min(self._per_s, self._level + gained)
        self._filled_at = now


@dataclass(slots=True, kw_only=True)
class _Account:
    calls: Bucket
    bytes: Bucket
    open: int = 0


class Callers:
    """The accounts of all callers.

    Args:
        max_calls: Calls that one caller may have under way.
        calls_per_s: Calls of one caller per second; 0 is no limit.
        bytes_per_s: Bytes of requests of one caller per second; 0 is no limit.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        max_calls: int,
        calls_per_s: float = 0.0,
        bytes_per_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_calls = max_calls
        self._calls_per_s = calls_per_s
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def enter(self, name: str) -> None:
        """Begin a call of a caller, which `leave` ends.

        Raises:
            Overloaded: It has too many under way, or made too many in the last second.
        """
        now = self._clock()
        account = self._account(name, now)
        if account.open >= self._max_calls:
            raise Overloaded(
                f"this caller has {account.open} calls under way, its share is {self._max_calls}: wait "
                "for one to end, or send more texts per call",
                retry_after_s=RETRY_WHEN_FULL_S,
                reason="caller_share",
            )
        if wait := account.calls.wait_s(now):
            raise Overloaded(
                f"this caller makes more than {self._calls_per_s:g} calls per second: slow down, or send "
                "more texts per call",
                retry_after_s=wait,
                reason="caller_rate",
            )
        account.calls.take(1, now)
        account.open += 1

    def leave(self, name: str) -> None:
        """End a call."""
        account = self._accounts[name]
        account.open -= 1
        if account.open == 0 and not self._calls_per_s and not self._bytes_per_s:
            del self._accounts[name]

    def wait_for_bytes_s(self, name: str) -> float:
        """Seconds until the caller may send on; 0 for now."""
        return self._accounts[name].bytes.wait_s(self._clock())

    def take_bytes(self, name: str, amount: int) -> None:
        """Count a message that has come."""
        self._accounts[name].bytes.take(amount, self._clock())

    def _account(self, name: str, now: float) -> _Account:
        if name not in self._accounts:
            if len(self._accounts) >= MANY:
                self._forget_idle(now)
            self._accounts[name] = _Account(
                calls=Bucket(self._calls_per_s, now), bytes=Bucket(self._bytes_per_s, now)
            )
        return self._accounts[name]

    def _forget_idle(self, now: float) -> None:
        idle = [
            name
            for name, account in self._accounts.items()
            if not account.open and account.calls.is_full(now) and account.bytes.is_full(now)
        ]
        for name in idle:
            del self._accounts[name]
