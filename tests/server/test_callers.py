import pytest

from hanjaserve.server import callers as module
from hanjaserve.server.callers import Callers
from hanjaserve.server.errors import Overloaded


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_share_of_calls() -> None:
    callers = Callers(max_calls=2)
    callers.enter("a")
    callers.enter("a")
    with pytest.raises(Overloaded, match="2 calls under way, its share is 2") as caught:
        callers.enter("a")
    assert caught.value.reason == "caller_share"
    callers.enter("b")
    callers.leave("a")
    callers.enter("a")


def test_rate_of_calls() -> None:
    clock = Clock()
    callers = Callers(max_calls=100, calls_per_s=4, clock=clock)
    for _ in range(4):
        callers.enter("a")
    with pytest.raises(Overloaded, match="more than 4 calls per second") as caught:
        callers.enter("a")
    assert caught.value.reason == "caller_rate"
    callers.enter("b")
    clock.now += caught.value.retry_after_s
    callers.enter("a")
    clock.now += 3600
    for _ in range(4):  # the bucket holds no more than one second's worth
        callers.enter("a")
    with pytest.raises(Overloaded):
        callers.enter("a")


def test_rate_of_bytes_lets_any_message_pass_and_then_waits() -> None:
    clock = Clock()
    callers = Callers(max_calls=9, bytes_per_s=100, clock=clock)
    callers.enter("a")
    assert callers.wait_for_bytes_s("a") == 0
    callers.take_bytes("a", 1100)
    assert callers.wait_for_bytes_s("a") == pytest.approx(10, abs=0.01)
    clock.now += 9
    assert callers.wait_for_bytes_s("a") > 0.9
    clock.now += 1.001
    assert callers.wait_for_bytes_s("a") == 0


def test_leaving_does_not_forgive_a_debt() -> None:
    clock = Clock()
    callers = Callers(max_calls=9, bytes_per_s=100, clock=clock)
    callers.enter("a")
    callers.take_bytes("a", 1100)
    callers.leave("a")
    callers.enter("a")
    assert callers.wait_for_bytes_s("a") > 9


def test_accounts_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 10)
    clock = Clock()
    for callers in (Callers(max_calls=9), Callers(max_calls=9, calls_per_s=5, clock=clock)):
        for number in range(100):
            callers.enter(str(number))
            callers.leave(str(number))
            clock.now += 1
        assert len(callers._accounts) <= 10
