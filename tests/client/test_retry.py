import grpc
import pytest

from hanjaserve.client import (
    ConvertError,
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    Overloaded,
    RetryPolicy,
    TextTooLong,
    Unavailable,
)
from hanjaserve.client.retry import Attempts, scaled_timeout_s


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(clock: Clock, timeout_s: float | None = None, **policy: float) -> Attempts:
    return Attempts(
        RetryPolicy(**policy),  # type: ignore[arg-type]
        timeout_s=timeout_s,
        clock=clock,
        uniform=lambda low, high: high,
    )


def test_delays_double_up_to_the_longest() -> None:
    tries = attempts(Clock(), max_attempts=6, initial_delay_s=0.1, max_delay_s=0.5)
    delays = [tries.delay_after(Unavailable("gone")) for _ in range(5)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    with pytest.raises(Unavailable):
        tries.delay_after(Unavailable("gone"))


def test_progress_starts_the_count_anew() -> None:
    tries = attempts(Clock(), max_attempts=2)
    for _ in range(10):
        tries.delay_after(Unavailable("gone"))
        tries.progressed()


def test_jitter_spares_part_of_the_delay() -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    tries = Attempts(RetryPolicy(jitter=0.5), timeout_s=None, uniform=uniform)
    assert tries.delay_after(Unavailable("gone")) == pytest.approx(0.05)
    assert asked[0] == pytest.approx((0.05, 0.1))


@pytest.mark.parametrize("kind", [Overloaded, Unavailable])
def test_the_server_may_ask_for_a_longer_delay_of_either_kind(kind: type[Overloaded | Unavailable]) -> None:
    tries = attempts(Clock(), initial_delay_s=0.1)
    assert tries.delay_after(kind("busy", retry_after_s=2.0)) == pytest.approx(2.0)


def test_the_server_may_ask_for_a_longer_delay() -> None:
    assert attempts(Clock()).delay_after(Overloaded("busy", retry_after_s=7.0)) == 7.0
    assert attempts(Clock()).delay_after(Overloaded("busy", retry_after_s=0.0)) == 0.1


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("says no delay"),
        InvalidRequest("bad"),
        TextTooLong("long"),
        DeadlineExceeded("late"),
        Internal("bug"),
        ConvertError("who?", code=grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_other_errors_are_final(error: ConvertError) -> None:
    with pytest.raises(type(error)) as caught:
        attempts(Clock()).delay_after(error)
    assert caught.value is error


def test_nothing_is_tried_past_the_deadline() -> None:
    clock = Clock()
    tries = attempts(clock, timeout_s=1.0)
    assert tries.left_s() == pytest.approx(1.0)
    clock.now += 0.95
    with pytest.raises(Unavailable):
        tries.delay_after(Unavailable("gone"))
    clock.now += 0.1
    with pytest.raises(DeadlineExceeded):
        tries.left_s()


def test_what_failed_before_is_the_cause() -> None:
    clock = Clock()
    tries = attempts(clock, timeout_s=1.0)
    first, second, last = Unavailable("starting"), Unavailable("full"), DeadlineExceeded("late")
    tries.delay_after(first)
    tries.delay_after(second)
    with pytest.raises(DeadlineExceeded, match="late") as raised:
        tries.delay_after(last)
    assert raised.value.__cause__ is second
    assert second.__cause__ is None, "a chain of all of them would grow with a client that waits for ever"
    clock.now += 1.0
    with pytest.raises(DeadlineExceeded) as raised:
        tries.left_s()
    assert raised.value.__cause__ is second


def test_big_requests_get_more_time() -> None:
    assert scaled_timeout_s(30.0, 100) == 30.0
    assert scaled_timeout_s(30.0, 1_000_000) == 500.0


def test_policies_are_checked() -> None:
    with pytest.raises(ValueError, match="max_attempts is 0"):
        RetryPolicy(max_attempts=0)
    with pytest.raises(ValueError, match="jitter is 2"):
        RetryPolicy(jitter=2)
