"""When to try again, and for how long: pure arithmetic shared by both clients.

Convert and BatchConvert are idempotent, so any failure that says "nothing is wrong with your
request" may be tried again:
    Unavailable                          after an exponential, jittered delay, or a longer retry_after_s
    Overloaded with a retry_after_s      after that delay, or the exponential one if it is longer
Everything else is final: a bad request stays bad, a deadline has passed, and a server that is
overloaded but names no delay wants to be left alone. Nothing is tried past the caller's deadline.
The clock and the random source are parameters, so tests take no time.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from hanjaserve.client.errors import ConvertError, DeadlineExceeded, Overloaded, Unavailable

# How fast a slow server surely is; the default deadline of a large request grows by its length.
SLOW_CODE_POINTS_PER_S = 2_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently to try.

    Attributes:
        max_attempts: Tries in all; 1 never tries again. A stream counts from its last result on.
        initial_delay_s: The delay before the second try; it doubles with every further one.
        max_delay_s: The longest delay, unless the server asks for a longer one.
        jitter: The part of a delay that is random: 0.5 waits between half and all of it, so that
            callers that failed together do not come back together.
    """

    max_attempts: int = 5
    initial_delay_s: float = 0.1
    max_delay_s: float = 5.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}; 1 means: never try again")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError(f"jitter is {self.jitter}; use a number from 0 to 1")


RESUMING = RetryPolicy(max_attempts=30)
"""Of a live session that has begun: somebody types on meanwhile, and a server takes its time to start again.
Two minutes at most."""


class Attempts:
    """The tries of one call.

    attempts = Attempts(policy, timeout_s=30)
    while True:
        try:
            return call(timeout=attempts.left_s())
        except ConvertError as error:
            sleep(attempts.delay_after(error))
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        timeout_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._uniform = uniform
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._failed = 0
        self._before: ConvertError | None = None

    def left_s(self) -> float | None:
        """Seconds that the next try may take; None when there is no deadline.

        Raises:
            DeadlineExceeded: Nothing is left.
        """
        if self._deadline is None:
            return None
        left = self._deadline - self._clock()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the request could be sent") from self._before
        return left

    def progressed(self) -> None:
        """Start counting anew, because something was answered."""
        self._failed = 0

    def delay_after(self, error: ConvertError) -> float:
        """Seconds to wait before the next try.

        Raises:
            ConvertError: `error` itself, when trying again is of no use or there is no time. Its cause is
                why the try before it failed.
        """
        self._failed += 1
        delay = self._delay_after(error)
        if delay is None or (self._deadline is not None and self._clock() + delay >= self._deadline):
            if self._before is not None:
                error.__cause__ = self._before
            raise error
        self._before = error
        return delay

    def _delay_after(self, error: ConvertError) -> float | None:
        """The delay if there were no deadline; None if trying again is of no use."""
        policy = self._policy
        asked_s = error.retry_after_s if isinstance(error, Overloaded | Unavailable) else None
        if not isinstance(error, Unavailable) and asked_s is None:
            return None
        if self._failed >= policy.max_attempts:
            return None
        # The exponent is bounded, or a caller with a million attempts overflows.
        longest = min(policy.initial_delay_s * 2.0 ** min(self._failed - 1, 60), policy.max_delay_s)
        return max(self._uniform(longest * (1 - policy.jitter), longest), asked_s or 0.0)


def scaled_timeout_s(timeout_s: float, code_points: int) -> float:
    """The default deadline for so much text: `timeout_s`, and more when a slow server needs it."""
    return max(timeout_s, code_points / SLOW_CODE_POINTS_PER_S)
