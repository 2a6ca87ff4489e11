from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hanjaserve.server.batcher import PATIENCE_S, Batch, Batcher, Entry, Priority, Totals, padded_tokens
from hanjaserve.server.errors import DeadlineExpired, Overloaded

BUDGET = 64


def batcher(**options: object) -> Batcher:
    settings = {"max_batch_tokens": BUDGET, "max_queue_tokens": 10_000, "overhead_tokens": 16}
    return Batcher(**{**settings, **options})  # type: ignore[arg-type]


def entry(
    tokens: int,
    *,
    at: float = 0.0,
    priority: Priority = Priority.INTERACTIVE,
    deadline: float | None = None,
    key: object = None,
    flow: object = None,
) -> Entry:
    return Entry(
        tokens=tokens,
        priority=priority,
        deadline=deadline,
        enqueued_at=at,
        key=key,
        flow=flow,
    )


def batches(queue: Batcher, now: float = 0.0) -> list[list[Entry]]:
    found = []
    while batch := queue.next_batch(now):
        found.append(batch.entries)
    return found


def taken(queue: Batcher, now: float = 0.0) -> list[Entry]:
    batch = queue.next_batch(now)
    return batch.entries if batch else []


def keys(queue: Batcher, now: float) -> list[object]:
    return [e.key for e in taken(queue, now)]


def lengths(batch: Sequence[Entry]) -> list[int]:
    return sorted(e.tokens for e in batch)


def test_empty_queue_gives_no_batch() -> None:
    assert batcher().next_batch(0.0) is None


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


def test_urgent_classes_go_first_and_bulk_of_any_length_delays_them_by_nothing() -> None:
    queue = batcher()
    queue.put_all([entry(64, at=0.0, priority=Priority.BULK, key=n) for n in range(20)])
    for priority in list(Priority)[:3][::-1]:
        queue.put(entry(64, at=0.3, priority=priority, key=priority.name))
    found = [keys(queue, 0.35)[0] for _ in range(4)]
    assert found == ["LIVE_FINAL", "LIVE_INTERIM", "INTERACTIVE", 0]


def test_class_that_was_passed_over_for_its_patience_gets_one_batch() -> None:
    queue = batcher()
    patience = PATIENCE_S[Priority.BULK]
    queue.put_all([entry(64, at=0.0, priority=Priority.BULK, key="bulk") for _ in range(4)])
    queue.put_all([entry(64, at=0.0, key="soon") for _ in range(9)])
    now = patience - 0.01
    assert [keys(queue, now), keys(queue, patience), keys(queue, patience)] == [["soon"], ["bulk"], ["soon"]]
    assert [keys(queue, 2 * patience - 0.01), keys(queue, 2 * patience)] == [["soon"], ["bulk"]]


def test_bulk_with_a_near_deadline_is_not_bulk() -> None:
    queue = batcher()
    queue.put(entry(64, at=0.0, priority=Priority.BULK, key="far", deadline=60.0))
    queue.put(entry(64, at=0.0, priority=Priority.BULK, key="near", deadline=1.5))
    queue.put(entry(64, at=0.0, key="interactive"))
    assert [keys(queue, 0.0)[0] for _ in range(3)] == ["near", "interactive", "far"]


def test_flood_of_one_caller_delays_another_by_nothing_but_what_runs() -> None:
    queue = batcher()
    queue.put_all([entry(64, flow="flood") for _ in range(100)])
    run_one(queue, 0.1)
    queue.put(entry(64, key="calm", flow="calm"))
    assert keys(queue, 0.0) == ["calm"]


def test_flood_does_not_make_another_caller_s_deadline_look_out_of_reach() -> None:
    queue = batcher(overhead_tokens=0)
    queue.put_all([entry(64, flow="flood") for _ in range(100)])
    run_one(queue, 0.1)  # 640 tokens a second, ten seconds of work
    calm = entry(8, deadline=0.2, flow="calm")
    assert queue.predicted_wait_s([calm]) < 0.2
    queue.put(calm)
    with pytest.raises(Overloaded):
        queue.put(entry(8, deadline=0.2, flow="flood"))
    with pytest.raises(Overloaded):
        queue.put(entry(64, deadline=0.2, flow="calm"))


def test_batch_given_in_advance_gives_way_to_whose_turn_is_before_it() -> None:
    queue = batcher()
    queue.put_all([entry(32, flow="flood") for _ in range(8)])
    running, ahead = queue.next_batch(0.0), queue.next_batch(0.0)
    assert running and ahead
    same, other = entry(32, flow="flood"), entry(32, flow="calm")
    for newcomer in (same, other):
        queue.put(newcomer)
    assert not ahead.gives_way_to(same, BUDGET)
    assert ahead.gives_way_to(other, BUDGET)
    queue.take_back(ahead)
    assert other in taken(queue)


def test_small_batch_takes_others_along_only_as_far_as_it_costs_nothing() -> None:
    queue = batcher(overhead_tokens=32, max_batch_tokens=1024)
    queue.put_all([entry(n, priority=Priority.BULK) for n in (16, 8, 8, 8, 8)])
    queue.put(entry(8, key="urgent"))
    batch = queue.next_batch(0.0)
    assert batch is not None
    assert (batch.priority, batch.computed_tokens) == (Priority.INTERACTIVE, 32)
    assert [e.lane.name for e in batch.entries] == ["INTERACTIVE", "BULK", "BULK", "BULK"]
    assert lengths(taken(queue)) == [8, 16]


def test_batch_that_is_taken_back_changes_nothing() -> None:
    queue, twin = batcher(), batcher()
    for one in (queue, twin):
        one.put_all([entry(n, deadline=9.0, key=rank) for rank, n in enumerate((8, 64, 8, 16, 8, 8))])
    batch = queue.next_batch(0.1)
    assert batch is not None
    queue.take_back(batch)
    assert (queue.queued_tokens, queue.running_tokens) == (twin.queued_tokens, 0)
    found, wanted = batches(queue, 0.2), batches(twin, 0.2)
    assert [[e.key for e in b] for b in found] == [[e.key for e in b] for b in wanted]


def test_entry_that_was_taken_back_still_expires_and_can_be_cancelled() -> None:
    queue = batcher()
    first, second = entry(8, deadline=1.0), entry(8, deadline=2.0)
    queue.put_all([first, second])
    for _ in range(200):
        batch = queue.next_batch(0.0)
        assert batch is not None
        queue.take_back(batch)
    assert len(queue._deadlines) < 100
    assert queue.expired(1.0) == [first]
    assert queue.cancel(second)
    assert (len(queue), queue.queued_tokens) == (0, 0)


def test_class_that_gave_its_batch_back_has_been_passed_over_as_long_as_before() -> None:
    queue = batcher()
    queue.put_all([entry(64, at=0.0, priority=Priority.BULK, key="bulk") for _ in range(3)])
    batch = queue.next_batch(0.4)
    assert batch is not None
    queue.take_back(batch)
    queue.put(entry(64, at=0.4, key="soon"))
    assert keys(queue, 0.5) == ["bulk"]


def test_only_the_window_is_looked_at() -> None:
    queue = batcher(window=2)
    queue.put_all([entry(n) for n in (8, 64, 8)])
    assert lengths(taken(queue)) == [8]


def test_expired_entries_leave_at_once_wherever_they_stand() -> None:
    queue = batcher()
    first, second, third = entry(8, deadline=9.0), entry(8, deadline=1.0), entry(8)
    queue.put_all([first, second, third])
    assert queue.expired(1.0) == [second]
    assert queue.expired(1.0) == []
    assert queue.queued_tokens == 16
    assert taken(queue, 1.0) == [first, third]


def test_cancelled_entry_leaves_at_once() -> None:
    queue = batcher()
    first, second = entry(8), entry(8)
    queue.put_all([first, second])
    assert queue.cancel(first)
    assert not queue.cancel(first)
    assert queue.queued_tokens == 8
    assert taken(queue) == [second]
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


def run_one(queue: Batcher, seconds: float) -> None:
    batch = queue.next_batch(0.0)
    assert batch is not None
    queue.done(batch, seconds)


def test_deadline_that_the_measured_rate_cannot_meet_is_refused() -> None:
    queue = batcher()
    queue.put_all([entry(64) for _ in range(10)])
    run_one(queue, 1.0)  # 64 tokens and the overhead per second: one second per batch
    with pytest.raises(Overloaded, match="deadline") as caught:
        queue.put(entry(64, at=1.0, deadline=10.0))
    assert caught.value.retry_after_s == pytest.approx(1.0)
    queue.put(entry(64, at=1.0, deadline=11.1))


def test_bulk_ahead_does_not_count_for_interactive() -> None:
    queue = batcher()
    queue.put(entry(64))
    run_one(queue, 1.0)
    queue.put_all([entry(64, priority=Priority.BULK) for _ in range(10)])
    queue.put(entry(64, deadline=1.5))


def test_passed_deadline_is_refused() -> None:
    with pytest.raises(DeadlineExpired):
        batcher().put(entry(8, at=2.0, deadline=1.0))


def test_rate_does_not_depend_on_the_size_of_batches() -> None:
    queue = batcher(overhead_tokens=16)
    for tokens in (64, 8, 8, 32):
        queue.put(entry(tokens))
        run_one(queue, (tokens + 16) / 1000)
    assert queue.tokens_per_s == pytest.approx(1000)
    assert queue.running_tokens == 0


def test_totals_count_padding() -> None:
    queue = batcher()
    assert queue.totals.padding == 0.0
    queue.put_all([entry(n) for n in (8, 13, 16)])
    run_one(queue, 0.5)
    assert queue.totals == Totals(batches=1, entries=3, tokens=37, computed_tokens=48, run_s=0.5)
    assert queue.totals.padding == pytest.approx(11 / 48)


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(1, 70))
def test_fifo_among_equal_lengths(sizes: list[int], window: int) -> None:
    queue = batcher(window=window)
    queue.put_all([entry(size, key=rank) for rank, size in enumerate(sizes)])
    seen: dict[int, int] = {}
    for batch in batches(queue):
        for e in batch:
            assert isinstance(e.key, int)
            assert seen.get(e.length, -1) < e.key
            seen[e.length] = e.key


class QueueMachine(RuleBasedStateMachine):
    """Nothing lost or twice, budget kept, nobody starves or is refused for nothing."""

    @initialize(room=st.sampled_from([600, 10**9]), runners=st.integers(1, 3))
    def begin(self, room: int, runners: int) -> None:
        self.room = room
        self.queue = batcher(window=8, max_queue_tokens=room, runners=runners)
        self.now = 0.0
        self.waiting: dict[int, Entry] = {}
        self.running: list[Batch] = []
        self.passed_since = dict.fromkeys(Priority, 0.0)

    @rule(
        sizes=st.lists(st.integers(1, 150), max_size=6),
        priority=st.sampled_from(Priority),
        wait=st.floats(0.1, 9),
        flow=st.sampled_from("abc"),
    )
    def put(self, sizes: list[int], priority: Priority, wait: float, flow: str) -> None:
        deadline = None if wait > 5 else self.now + wait
        entries = [entry(n, at=self.now, priority=priority, deadline=deadline, flow=flow) for n in sizes]
        try:
            self.queue.put_all(entries)
        except Overloaded:
            full = self.queue.queued_tokens + sum(e.length for e in entries) > self.room
            late = deadline is not None and self.queue.predicted_wait_s(entries) > deadline - self.now
            assert full or late
            return
        # What was taken back may be too much, but nothing is added to it.
        assert not entries or self.queue.queued_tokens <= self.room
        self.waiting.update({id(e): e for e in entries})

    @rule(seconds=st.floats(0, 3))
    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def run(self) -> None:
        for late in self.queue.expired(self.now):
            assert late.deadline is not None and late.deadline <= self.now
            self.leave(late)
        lane = self.turn()
        batch = self.queue.next_batch(self.now)
        assert bool(batch) == bool(self.waiting)
        if batch is None:
            return
        first = min((e for e in self.waiting.values() if e.lane == lane), key=_place)
        assert batch.priority == lane and batch.entries[0] is first
        assert batch.computed_tokens == padded_tokens(batch.entries)
        assert len(batch.entries) == 1 or batch.computed_tokens <= BUDGET
        assert not any(e.deadline is not None and e.deadline <= self.now for e in batch.entries)
        for e in batch.entries:
            self.leave(e)
        self.passed_since[lane] = self.now
        self.running.append(batch)

    @precondition(lambda self: self.running)
    @rule(seconds=st.floats(0, 5))
    def finish(self, seconds: float) -> None:
        self.queue.done(self.running.pop(0), seconds)

    @precondition(lambda self: self.running)
    @rule()
    def take_back(self) -> None:
        batch = self.running.pop()
        # What came before the batch was made may not be known any more: so no later than then.
        self.passed_since[batch.priority] = batch.passed_since
        self.queue.take_back(batch)
        self.waiting.update({id(e): e for e in batch.entries})

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
        assert self.queue.running_tokens == sum(b.computed_tokens for b in self.running)

    def leave(self, e: Entry) -> None:
        assert self.waiting.pop(id(e)) is e

    def turn(self) -> Priority | None:
        """The class that must be served: the longest overdue, or the most urgent."""
        heads: dict[Priority, float] = {}
        for e in sorted(self.waiting.values(), key=_place):
            heads.setdefault(e.lane, e.enqueued_at)
        if not heads:
            return None
        overdue = {
            lane: self.now - max(at, self.passed_since[lane]) - PATIENCE_S[lane]
            for lane, at in heads.items()
            if lane != min(heads)
        }
        late = [lane for lane in overdue if overdue[lane] >= 0]
        return max(late, key=overdue.__getitem__) if late else min(heads)


def _place(e: Entry) -> tuple[int, int]:
    return e.turn, abs(e.ticket)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


@given(st.integers(2, 6), st.floats(0.01, 0.1), st.sampled_from(list(Priority)[1:]))
@settings(max_examples=30, deadline=None)
def test_no_flood_starves_another_class(flood: int, batch_s: float, victim: Priority) -> None:
    """Urgent entries come faster than they are served; the victim is served all the same."""
    queue = batcher(max_queue_tokens=10**9)
    queue.put_all([entry(64, at=0.0, priority=victim, key="victim") for _ in range(3)])
    now, served = 0.0, []
    bound = PATIENCE_S[victim] + (len(Priority) + 1) * batch_s
    while len(served) < 3:
        for urgent in Priority:
            if urgent < victim:
                queue.put_all([entry(64, at=now, priority=urgent) for _ in range(flood)])
        now += batch_s
        if keys(queue, now) == ["victim"]:
            served.append(now)
        assert now < 3 * bound + 1
    assert max(b - a for a, b in zip([0.0, *served], served, strict=False)) <= bound
