from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hanjaserve.server.batcher import Batcher, Entry, Priority, padded_tokens
from hanjaserve.server.errors import DeadlineExpired, Overloaded

BUDGET = 64


def batcher(**options: object) -> Batcher:
    settings = {"max_batch_tokens": BUDGET, "max_queue_tokens": 10_000, "overhead_tokens": 16}
    return Batcher(**{**settings, **options})  # type: ignore[arg-type]


def entry(
    tokens: int,
    *,
    at: float = 0.0,
    bulk: bool = False,
    deadline: float | None = None,
    key: object = None,
) -> Entry:
    return Entry(
        tokens=tokens,
        priority=Priority.BULK if bulk else Priority.INTERACTIVE,
        deadline=deadline,
        enqueued_at=at,
        key=key,
    )


def batches(queue: Batcher) -> list[list[Entry]]:
    found = []
    while batch := queue.next_batch():
        found.append(batch)
    return found


def lengths(batch: Sequence[Entry]) -> list[int]:
    return sorted(e.tokens for e in batch)


def test_empty_queue_gives_no_batch() -> None:
    assert batcher().next_batch() == []


def test_short_entries_do_not_wait_behind_padding() -> None:
    queue = batcher()
    queue.put_all([entry(n) for n in (8, 64, 8, 8)])
    assert [lengths(batch) for batch in batches(queue)] == [[8, 8, 8], [64]]


def test_similar_lengths_share_a_batch() -> None:
    queue = batcher(max_batch_tokens=96)
    queue.put_all([entry(n) for n in (24, 32, 30)])
    assert [lengths(batch) for batch in batches(queue)] == [[24, 30, 32]]


def test_head_takes_longer_companions_when_that_wastes_less() -> None:
    queue = batcher(max_batch_tokens=256)
    queue.put_all([entry(n) for n in (56, 64, 64, 64)])
    assert [lengths(batch) for batch in batches(queue)] == [[56, 64, 64, 64]]


def test_over_long_entry_runs_alone() -> None:
    queue = batcher()
    queue.put_all([entry(n) for n in (500, 8, 500)])
    assert [lengths(batch) for batch in batches(queue)] == [[500], [8], [500]]


def test_interactive_goes_before_bulk_until_bulk_has_aged() -> None:
    queue = batcher(ageing_s=2.0)
    queue.put(entry(64, at=0.0, bulk=True, key="bulk"))
    queue.put(entry(64, at=1.9, key="soon"))
    queue.put(entry(64, at=2.1, key="late"))
    assert [batch[0].key for batch in batches(queue)] == ["soon", "bulk", "late"]


def test_bulk_with_a_near_deadline_does_not_wait_for_its_ageing() -> None:
    queue = batcher(ageing_s=2.0)
    queue.put(entry(64, at=0.0, bulk=True, deadline=1.5, key="bulk"))
    queue.put(entry(64, at=0.1, key="interactive"))
    assert queue.next_batch()[0].key == "bulk"


def test_only_the_window_is_looked_at() -> None:
    queue = batcher(window=2)
    queue.put_all([entry(n) for n in (8, 64, 8)])
    assert lengths(queue.next_batch()) == [8]


def test_expired_entries_leave_at_once_wherever_they_stand() -> None:
    queue = batcher()
    first, second, third = entry(8, deadline=9.0), entry(8, deadline=1.0), entry(8)
    queue.put_all([first, second, third])
    assert queue.expired(1.0) == [second]
    assert queue.expired(1.0) == []
    assert queue.queued_tokens == 16
    assert queue.next_batch() == [first, third]


def test_cancelled_entry_leaves_at_once() -> None:
    queue = batcher()
    first, second = entry(8), entry(8)
    queue.put_all([first, second])
    assert queue.cancel(first)
    assert not queue.cancel(first)
    assert queue.queued_tokens == 8
    assert queue.next_batch() == [second]
    assert not queue.cancel(second)


def test_cancelled_entries_do_not_pile_up() -> None:
    queue = batcher()
    for _ in range(1000):
        waiting = entry(8, deadline=100.0)
        queue.put(waiting)
        queue.cancel(waiting)
    assert len(queue._deadlines) < 100


def test_full_queue_refuses_all_or_nothing() -> None:
    queue = batcher(max_queue_tokens=32)
    queue.put(entry(8))
    with pytest.raises(Overloaded, match="limit of 32") as caught:
        queue.put_all([entry(8), entry(24)])
    assert caught.value.retry_after_s > 0
    assert len(queue) == 1
    assert queue.queued_tokens == 8


def test_deadline_that_the_measured_rate_cannot_meet_is_refused() -> None:
    queue = batcher()
    queue.put_all([entry(64) for _ in range(10)])
    batch = queue.next_batch()
    queue.done(batch, 1.0)  # 64 tokens per second
    with pytest.raises(Overloaded, match="deadline") as caught:
        queue.put(entry(64, at=1.0, deadline=10.0))
    assert caught.value.retry_after_s == pytest.approx(1.0)
    queue.put(entry(64, at=1.0, deadline=11.1))


def test_bulk_ahead_does_not_count_for_interactive() -> None:
    queue = batcher()
    queue.put(entry(64))
    queue.done(queue.next_batch(), 1.0)
    queue.put_all([entry(64, bulk=True) for _ in range(10)])
    queue.put(entry(64, deadline=1.5))


def test_passed_deadline_is_refused() -> None:
    with pytest.raises(DeadlineExpired):
        batcher().put(entry(8, at=2.0, deadline=1.0))


def test_small_batches_do_not_lower_the_rate() -> None:
    queue = batcher()
    for tokens, seconds in ((64, 0.1), (8, 1.0)):
        queue.put(entry(tokens))
        queue.done(queue.next_batch(), seconds)
    assert queue.tokens_per_s == pytest.approx(640)
    assert queue.running_tokens == 0


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(1, 70))
def test_fifo_among_equal_lengths(sizes: list[int], window: int) -> None:
    queue = batcher(window=window)
    queue.put_all([entry(size, key=rank) for rank, size in enumerate(sizes)])
    seen: dict[int, int] = {}
    for batch in batches(queue):
        for taken in batch:
            assert isinstance(taken.key, int)
            assert seen.get(taken.length, -1) < taken.key
            seen[taken.length] = taken.key


class QueueMachine(RuleBasedStateMachine):
    """Whatever the order of calls: nothing lost, nothing twice, budget kept, nobody starves."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = batcher(window=8, ageing_s=2.0, max_queue_tokens=10**9)
        self.now = 0.0
        self.waiting: dict[int, Entry] = {}

    @rule(sizes=st.lists(st.integers(1, 150), max_size=6), bulk=st.booleans(), wait=st.floats(0.1, 9))
    def put(self, sizes: list[int], bulk: bool, wait: float) -> None:
        deadline = None if wait > 5 else self.now + wait
        entries = [entry(n, at=self.now, bulk=bulk, deadline=deadline) for n in sizes]
        self.queue.put_all(entries)
        self.waiting.update({id(e): e for e in entries})

    @rule(seconds=st.floats(0, 3))
    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def run(self) -> None:
        for late in self.queue.expired(self.now):
            assert late.deadline is not None and late.deadline <= self.now
            self.leave(late)
        oldest = self.most_urgent()
        batch = self.queue.next_batch()
        assert bool(batch) == bool(self.waiting)
        if batch:
            assert any(e is oldest for e in batch)
            assert len(batch) == 1 or padded_tokens(batch) <= BUDGET
            assert not any(e.deadline is not None and e.deadline <= self.now for e in batch)
        for taken in batch:
            self.leave(taken)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(list(self.waiting.values())), label="victim")
        assert self.queue.cancel(victim)
        self.leave(victim)

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert self.queue.queued_tokens == sum(e.length for e in self.waiting.values())

    def leave(self, e: Entry) -> None:
        assert self.waiting.pop(id(e)) is e

    def most_urgent(self) -> Entry | None:
        def urgency(e: Entry) -> tuple[float, int, int]:
            return (e.enqueued_at + 2.0 * e.lane, e.lane, e.ticket)

        return min(self.waiting.values(), key=urgency, default=None)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
