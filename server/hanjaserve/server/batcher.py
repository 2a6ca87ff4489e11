"""Choose what runs next: a queue of entries and a length-aware token budget.

Pure: no clock of its own, no event loop, no threads, no locks, no arrays. `pool.py` feeds it and
carries its batches to the runners; `benchmarks/simulator` replays traces through it.

Theory of operation
    Cost. A batch is padded to its longest entry, so it costs `longest * entries` tokens, and that
    is what the budget limits. Lengths are rounded up to the bucket size first, as the pool pads.

    Classes. Entries wait in one lane per class. The most urgent lane goes first, unless
    another one has been passed over for its patience: then it gets one batch. So a flood of one
    class can't shut out another, and a queue of bulk work of any length delays an urgent entry by
    one batch at most. An entry whose deadline is too near for its class waits as INTERACTIVE.

    Flows. In a lane callers take turns (turns.py), so that a flood of one delays an entry of another by
    a batch or two, however long it is. Entries of one flow are a FIFO.

    Choice. Only entries put within `window` of the oldest are looked at. Every batch contains the very
    first, hence nothing starves: the n-th entry of a lane is in its n-th batch at the latest. Its
    companions are those that waste least (companions.py); among equal lengths turns decide.

    Share. Where runners have processors of their own and several are free, a batch takes no more than its
    part of what waits, so that none stands idle while another works through the queue alone.

    Fill. Companions are of the same class, lest an urgent entry waits for more than itself. A batch
    smaller than `overhead_tokens` is filled up to that with shorter entries of the other classes.

    Admission. The rate (tokens per second) is learned from finished batches. A put whose predicted
    wait passes its deadline is refused at once, because a prompt refusal can be retried elsewhere
    while a late answer is of no use.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from hanjaserve.server.companions import companions
from hanjaserve.server.entry import Batch, Entry, Priority, Totals, padded_tokens
from hanjaserve.server.errors import DeadlineExpired, Overloaded
from hanjaserve.server.lane import Lane
from hanjaserve.server.shapes import BUCKET, padded_length

__all__ = ["PATIENCE_S", "Batch", "Batcher", "Entry", "Priority", "Totals", "padded_tokens"]

# A refused caller should not come back sooner than a batch takes, nor wait for ages.
MIN_RETRY_S, MAX_RETRY_S, UNKNOWN_RETRY_S = 0.05, 30.0, 1.0
# The weight of the newest batch in the measured rate: about the last ten batches count.
RATE_WEIGHT = 0.2
# BULK with a deadline nearer than this is not bulk: somebody is waiting.
NEAR_S = 2.0
PATIENCE_S = {
    Priority.LIVE_FINAL: 0.05,
    Priority.LIVE_INTERIM: 0.1,
    Priority.INTERACTIVE: 0.2,
    Priority.BULK: 0.5,
}
"""How long each class may be passed over before it gets a batch out of turn."""


class Batcher:
    """A queue that hands out batches of entries.

    Args:
        max_batch_tokens: What a batch may cost; an entry that is longer goes alone.
        max_queue_tokens: What may wait before puts are refused.
        window: How far behind the oldest entry of a class its companions may have been put, counted in
            entries; by default enough for several batches.
        bucket: Lengths are rounded up to a multiple of it.
        overhead_tokens: What running any batch costs; by default a sixteenth of the budget.
        runners: How many batches run at a time, each on a processor of its own.
        length_of: Rounds lengths up in another way than to multiples of `bucket`.

    Attributes:
        queued_tokens: Tokens waiting, rounded up to buckets.
        running_tokens: Tokens handed out and not yet reported by `done`, padding included.
        tokens_per_s: Measured rate of all runners together; None before the first batch.
        totals: What has been run.
    """

    def __init__(
        self,
        *,
        max_batch_tokens: int,
        max_queue_tokens: int,
        window: int | None = None,
        bucket: int = BUCKET,
        overhead_tokens: int | None = None,
        runners: int = 1,
        length_of: Callable[[int], int] | None = None,
    ) -> None:
        self.max_batch_tokens = max_batch_tokens
        self.max_queue_tokens = max_queue_tokens
        self.queued_tokens = 0
        self.running_tokens = 0
        self.tokens_per_s: float | None = None
        self.totals = Totals()
        # Larger budgets are for faster devices, where more waits and small batches waste more.
        self._window = window or max(1024, max_batch_tokens // 2)
        # There are few lengths, and looking one up is quicker than rounding it.
        self._length_of = lru_cache(1 << 16)(length_of or (lambda tokens: padded_length(tokens, bucket)))
        self._overhead_tokens = max_batch_tokens // 16 if overhead_tokens is None else overhead_tokens
        self._runners = runners
        self._running = 0
        self._tickets = 0
        self._lanes = {lane: Lane() for lane in Priority}
        self._served_at = dict.fromkeys(Priority, -math.inf)
        self._deadlines: list[tuple[float, int, Entry]] = []

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, entry: Entry) -> None:
        """Queue one entry; see `put_all`."""
        self.put_all((entry,))

    def put_all(self, entries: Sequence[Entry]) -> None:
        """Queue entries that belong together: all of them, or none.

        Raises:
            Overloaded: The queue is full, or they would miss a deadline by the measured rate.
            DeadlineExpired: A deadline has passed already.
        """
        if not entries:
            return
        for entry in entries:
            entry.length = self._length_of(entry.tokens)
            entry.lane = _lane(entry)
        self._admit(entries)
        for entry in entries:
            self._tickets += 1
            entry.ticket = self._tickets
            self._insert(entry)
            if entry.deadline is not None:
                heapq.heappush(self._deadlines, (entry.deadline, entry.ticket, entry))

    def cancel(self, entry: Entry) -> bool:
        """Take an entry out of the queue; False if it is not there (running, done, expired)."""
        if entry.ticket < 0:
            return False
        self._remove(entry)
        self._tidy_deadlines()
        return True

    def expired(self, now: float) -> list[Entry]:
        """Take out and return every entry whose deadline has passed, soonest first."""
        gone = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket, entry = heapq.heappop(self._deadlines)
            if entry.ticket == ticket:
                self._remove(entry)
                gone.append(entry)
        return gone

    def next_batch(self, now: float) -> Batch | None:
        """Take out and return what to run now; None if nothing waits.

        The caller asks for `expired` first, so that nothing is computed in vain, and reports the
        batch by `done` afterwards, or gives it back by `take_back`.
        """
        lane = self._turn(now)
        if lane is None:
            return None
        queue = self._lanes[lane]
        head = queue.oldest()
        assert head is not None
        before = head.ticket + self._window
        plan = companions(head.length, queue.counts(), self._share(queue), self._overhead_tokens)
        queue.turns.begin(head.turn)
        entries = queue.take(head.length, 1, before)
        for length, count in plan:
            entries += queue.take(length, count, before)
        self.queued_tokens -= sum([entry.length for entry in entries])
        last_turn = max([entry.turn for entry in entries])
        entries += self._fill(lane, entries)
        passed_since = max(head.enqueued_at, self._served_at[lane])
        batch = Batch(
            entries=entries,
            priority=lane,
            computed_tokens=padded_tokens(entries),
            passed_since=passed_since,
            turn=head.turn,
            last_turn=last_turn,
        )
        self._served_at[lane] = now
        self._running += 1
        self.running_tokens += batch.computed_tokens
        return batch

    def take_back(self, batch: Batch) -> None:
        """Queue a batch again that has not begun to run, each entry where it was."""
        self._running -= 1
        self.running_tokens -= batch.computed_tokens
        self._served_at[batch.priority] = batch.passed_since
        self._lanes[batch.priority].turns.take_back(batch.turn)
        for lane in {entry.lane for entry in batch.entries}:
            self._lanes[lane].restore([entry for entry in batch.entries if entry.lane == lane])
        for entry in batch.entries:
            self.queued_tokens += entry.length
            if entry.deadline is not None:
                heapq.heappush(self._deadlines, (entry.deadline, entry.ticket, entry))
        self._tidy_deadlines()

    def done(self, batch: Batch, seconds: float) -> None:
        """Report that a batch of `next_batch` has run, and how long it took."""
        computed = batch.computed_tokens
        self._running -= 1
        self.running_tokens -= computed
        self._lanes[batch.priority].turns.finish(batch.turn)
        self.totals.batches += 1
        self.totals.entries += len(batch.entries)
        self.totals.tokens += sum([entry.tokens for entry in batch.entries])
        self.totals.computed_tokens += computed
        self.totals.run_s += seconds
        if seconds <= 0:
            return
        rate = (computed + self._overhead_tokens) / seconds * self._runners
        known = self.tokens_per_s or rate
        self.tokens_per_s = known + RATE_WEIGHT * (rate - known)

    def predicted_wait_s(self, entries: Sequence[Entry]) -> float:
        """When these entries would be done if they were put now; 0 before anything is measured."""
        if self.tokens_per_s is None:
            return 0.0
        last = max(entry.lane for entry in entries)
        own = sum(entry.length for entry in entries)
        tokens = self.running_tokens + own + self._before(self._lanes[last], entries[0].flow, own)
        tokens += sum(self._lanes[lane].tokens for lane in Priority if lane < last)
        batches = -(-tokens // self.max_batch_tokens)
        return (tokens + batches * self._overhead_tokens) / self.tokens_per_s

    def _before(self, queue: Lane, flow: object, tokens: int) -> float:
        """How many tokens of a lane go before a flow's next ones."""
        if not queue:
            return 0
        return min(queue.tokens, queue.turns.tokens_before(flow, tokens, queue.tokens / len(queue)))

    def _admit(self, entries: Sequence[Entry]) -> None:
        tokens = sum(entry.length for entry in entries)
        over = self.queued_tokens + tokens - self.max_queue_tokens
        if over > 0:
            raise Overloaded(
                f"the queue holds {self.queued_tokens} tokens, and {tokens} more exceed its limit "
                f"of {self.max_queue_tokens}: retry later or send less at a time",
                retry_after_s=self._retry_s(over),
            )
        deadlines = [(e.deadline, e.enqueued_at) for e in entries if e.deadline is not None]
        if not deadlines:
            return
        left = min(deadline - now for deadline, now in deadlines)
        if left <= 0:
            raise DeadlineExpired(f"the deadline passed {-left:.3f} s before the text was queued")
        wait = self.predicted_wait_s(entries)
        if wait > left:
            raise Overloaded(
                f"the result is expected in {wait:.3f} s, after the deadline in {left:.3f} s: "
                "allow more time, send less at a time, or retry later",
                retry_after_s=min(max(wait - left, MIN_RETRY_S), MAX_RETRY_S),
            )

    def _retry_s(self, tokens: int) -> float:
        if self.tokens_per_s is None:
            return UNKNOWN_RETRY_S
        return min(max(tokens / self.tokens_per_s, MIN_RETRY_S), MAX_RETRY_S)

    def _insert(self, entry: Entry) -> None:
        self._lanes[entry.lane].append(entry)
        self.queued_tokens += entry.length

    def _remove(self, entry: Entry) -> None:
        self._lanes[entry.lane].remove(entry)
        self.queued_tokens -= entry.length

    def _tidy_deadlines(self) -> None:
        """Entries that have left stay in the heap until their deadline; do not let them pile up."""
        if len(self._deadlines) > 64 + 2 * len(self):
            queued = [entry for lane in self._lanes.values() for entry in lane]
            self._deadlines = [(e.deadline, e.ticket, e) for e in queued if e.deadline is not None]
            heapq.heapify(self._deadlines)

    def _turn(self, now: float) -> Priority | None:
        """The class whose turn it is: the one that has been overdue longest, else the most urgent."""
        waiting = [lane for lane in Priority if self._lanes[lane]]
        if not waiting:
            return None
        overdue = {lane: self._overdue_s(lane, now) for lane in waiting[1:]}
        late = max(overdue, key=overdue.__getitem__, default=waiting[0])
        return late if overdue.get(late, -1) >= 0 else waiting[0]

    def _overdue_s(self, lane: Priority, now: float) -> float:
        head = self._lanes[lane].oldest()
        assert head is not None
        return now - max(head.enqueued_at, self._served_at[lane]) - PATIENCE_S[lane]

    def _share(self, queue: Lane) -> int:
        """What a batch of this lane may cost, so that every free runner gets as much."""
        free = self._runners - self._running
        if free <= 1:
            return self.max_batch_tokens
        return min(self.max_batch_tokens, max(queue.tokens // free, self._overhead_tokens))

    def _fill(self, lane: Priority, entries: Sequence[Entry]) -> list[Entry]:
        """Take entries of other classes along that cost a small batch next to nothing."""
        longest = max([entry.length for entry in entries])
        room = min(self._overhead_tokens, self.max_batch_tokens) // longest - len(entries)
        found: list[Entry] = []
        for other in Priority:
            if other == lane:
                continue
            queue = self._lanes[other]
            while len(found) < room and (entry := queue.oldest(longest)):
                found += queue.take(entry.length, 1, entry.ticket + 1)
        self.queued_tokens -= sum([entry.length for entry in found])
        return found


def _lane(entry: Entry) -> Priority:
    near = entry.deadline is not None and entry.deadline - entry.enqueued_at <= NEAR_S
    return min(entry.priority, Priority.INTERACTIVE) if near else entry.priority
