"""When a process that ended is started again."""

from hanjaserve.server.processes.member import MAX_DELAY_S, REMEMBERED_S, Deaths


def test_first_at_once_then_more_slowly_and_forgiven_after_a_while() -> None:
    now = [0.0]
    deaths = Deaths(clock=lambda: now[0])
    delays = [deaths.delay_s() for _ in range(1000)]
    assert delays[0] == 0
    assert delays[1] < delays[2] < delays[3]
    assert max(delays) == delays[-1] == MAX_DELAY_S
    now[0] = REMEMBERED_S + 1
    assert deaths.delay_s() == 0
