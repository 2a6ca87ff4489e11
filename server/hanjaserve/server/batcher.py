"""Choose what runs next: a queue of entries and a length-aware token budget.

Pure: no clock of its own, no event loop, no threads, no locks, no arrays. `pool.py` feeds it and
carries its batches to the runners.

Theory of operation
    Cost. A batch is padded to its longest entry, so it costs `longest * entries` tokens, and that
    is what the budget limits. Lengths are rounded up to the bucket size first, as the pool pads.

    Order. Entries have an urgency, the time at which they were put, plus `ageing_s` for BULK. It
    never changes while they wait, so each class is a plain FIFO and the merge of both is the
    queue's order: a BULK entry gives way to INTERACTIVE ones for at most `ageing_s`. A BULK entry
    whose deadline falls before its ageing would lift it joins the INTERACTIVE class.

    Choice. Only the first `window` entries of that order are looked at. Every batch contains the
    very first, hence nothing starves: an entry with n more urgent ones waits for at most n batches.
    The companions are chosen to waste little, by the greatest ratio

        tokens in the batch / (tokens computed, padding included + overhead_tokens)

    where `overhead_tokens` is what running any batch costs, expressed in tokens. Lengths 8, 8, 8,
    512 thus make two batches, lengths 24, 32, 32 one. Among equal lengths the oldest go first.

    Admission. The rate (tokens per second) is learned from finished batches. A put whose predicted
    wait passes its deadline is refused at once, because a prompt refusal can be retried elsewhere
    while a late answer is of no use.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from hanjaserve.server.errors import DeadlineExpired, Overloaded
from hanjaserve.server.shapes import BUCKET, padded_length

# A refused caller should not come back sooner than a batch takes, nor wait for ages.
MIN_RETRY_S, MAX_RETRY_S, UNKNOWN_RETRY_S = 0.05, 30.0, 1.0
# The weight of the newest batch in the measured rate: about the last ten batches count.
RATE_WEIGHT = 0.2


class Priority(IntEnum):
    """The class of an entry; a lower number goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One queued encoding.

    Attributes:
        tokens: How many tokens it has, at least 1.
        priority: Its class.
        deadline: When the caller gives up, on the clock of `enqueued_at`; None waits for ever.
        enqueued_at: When it was put, in seconds on any monotonic clock.
        key: Whatever the owner needs to find the entry's data; not looked at.
    """

    tokens: int
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    enqueued_at: float
    key: object = None
    length: int = field(default=0, init=False)  # tokens, rounded up to the bucket
    ticket: int = field(default=-1, init=False)  # number in the queue; -1 is not queued
    lane: int = field(default=0, init=False)  # the class in which it waits


class Batcher:
    """A queue that hands out batches of entries.

    Attributes:
        queued_tokens: Tokens waiting, rounded up to buckets.
        running_tokens: Tokens handed out and not yet reported by `done`, padding included.
        tokens_per_s: Measured rate of all runners together; None before the first batch.
    """

    def __init__(
        self,
        *,
        max_batch_tokens: int,
        max_queue_tokens: int,
        window: int = 512,
        bucket: int = BUCKET,
        overhead_tokens: int = 128,
        ageing_s: float = 2.0,
        runners: int = 1,
    ) -> None:
        self.max_batch_tokens = max_batch_tokens
        self.max_queue_tokens = max_queue_tokens
        self.queued_tokens = 0
        self.running_tokens = 0
        self.tokens_per_s: float | None = None
        self._window = window
        self._bucket = bucket
        self._overhead_tokens = overhead_tokens
        self._ageing_s = ageing_s
        self._runners = runners
        self._tickets = 0
        self._lanes: tuple[OrderedDict[int, Entry], ...] = tuple(OrderedDict() for _ in Priority)
        self._lane_tokens = [0 for _ in Priority]
        self._deadlines: list[tuple[float, int, Entry]] = []

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

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
            entry.length = padded_length(entry.tokens, self._bucket)
            entry.lane = self._lane(entry)
        self._admit(entries)
        for entry in entries:
            self._tickets += 1
            entry.ticket = self._tickets
            self._lanes[entry.lane][entry.ticket] = entry
            self._lane_tokens[entry.lane] += entry.length
            self.queued_tokens += entry.length
            if entry.deadline is not None:
                heapq.heappush(self._deadlines, (entry.deadline, entry.ticket, entry))

    def cancel(self, entry: Entry) -> bool:
        """Take an entry out of the queue; False if it is not there (running, done, expired)."""
        if entry.ticket < 0:
            return False
        self._remove(entry)
        # Cancelled entries stay in the heap until their deadline; do not let them pile up.
        if len(self._deadlines) > 64 + 2 * len(self):
            self._deadlines = [item for item in self._deadlines if item[2].ticket == item[1]]
            heapq.heapify(self._deadlines)
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

    def next_batch(self) -> list[Entry]:
        """Take out and return the entries to run now, most urgent first; empty if none wait.

        The caller asks for `expired` first, so that nothing is computed in vain, and reports the
        batch by `done` afterwards.
        """
        by_length: dict[int, list[Entry]] = {}
        for entry in islice(self._in_order(), self._window):
            by_length.setdefault(entry.length, []).append(entry)
        if not by_length:
            return []
        head = next(iter(by_length.values()))[0]
        batch = [head]
        for length, count in self._plan(head.length, {k: len(v) for k, v in by_length.items()}):
            # The head is the oldest of its length and already in the batch.
            first = 1 if length == head.length else 0
            batch += by_length[length][first : first + count]
        for entry in batch:
            self._remove(entry)
        self.running_tokens += padded_tokens(batch)
        return batch

    def done(self, batch: Sequence[Entry], seconds: float) -> None:
        """Report that a batch of `next_batch` has run, and how long it took."""
        tokens = padded_tokens(batch)
        self.running_tokens -= tokens
        if seconds <= 0:
            return
        rate = tokens / seconds * self._runners
        known = self.tokens_per_s
        # A small batch is dominated by overhead, so it only tells that the rate is at least this.
        if known is None:
            self.tokens_per_s = rate
        elif rate > known or 2 * tokens >= self.max_batch_tokens:
            self.tokens_per_s = known + RATE_WEIGHT * (rate - known)

    def predicted_wait_s(self, entries: Sequence[Entry]) -> float:
        """When these entries would be done if they were put now; 0 before anything is measured."""
        if self.tokens_per_s is None:
            return 0.0
        lane = max(entry.lane for entry in entries)
        ahead = self.running_tokens + sum(self._lane_tokens[: lane + 1])
        return (ahead + sum(entry.length for entry in entries)) / self.tokens_per_s

    def _lane(self, entry: Entry) -> int:
        """BULK that cannot wait for its ageing is served as INTERACTIVE."""
        lifted_at = entry.enqueued_at + self._ageing_s
        if entry.deadline is not None and entry.deadline <= lifted_at:
            return int(Priority.INTERACTIVE)
        return int(entry.priority)

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

    def _remove(self, entry: Entry) -> None:
        del self._lanes[entry.lane][entry.ticket]
        entry.ticket = -1
        self._lane_tokens[entry.lane] -= entry.length
        self.queued_tokens -= entry.length

    def _in_order(self) -> Iterator[Entry]:
        """Yield the entries by urgency; both lanes are sorted by it already."""
        interactive, bulk = (iter(lane.values()) for lane in self._lanes)
        first, second = next(interactive, None), next(bulk, None)
        while first and second:
            if first.enqueued_at <= second.enqueued_at + self._ageing_s:
                yield first
                first = next(interactive, None)
            else:
                yield second
                second = next(bulk, None)
        if first:
            yield first
        if second:
            yield second
        yield from interactive
        yield from bulk

    def _plan(self, head: int, waiting: dict[int, int]) -> list[tuple[int, int]]:
        """Choose the companions of the head: how many entries of which lengths.

        For every possible longest length, fill the batch downwards from it. Adding entries of a
        length improves the ratio only while `length / longest` exceeds it, and lengths fall, so the
        first that does not is where to stop.

        Args:
            head: Length of the entry that must be in the batch.
            waiting: Entries per length in the window, the head among them.
        """
        waiting = {**waiting, head: waiting[head] - 1}
        lengths = sorted(waiting, reverse=True)
        best, best_ratio = [], head / (head + self._overhead_tokens)
        for start, longest in enumerate(lengths):
            room = self.max_batch_tokens // longest - 1
            if longest < head:
                break
            if room <= 0:
                continue
            plan, tokens, cost = [], head, longest + self._overhead_tokens
            for length in islice(lengths, start, None):
                if room == 0 or length * cost <= longest * tokens:
                    break
                count = min(room, waiting[length])
                if count:
                    plan.append((length, count))
                    tokens, cost, room = (
                        tokens + count * length,
                        cost + count * longest,
                        room - count,
                    )
            if tokens / cost > best_ratio:
                best, best_ratio = plan, tokens / cost
        return best


def padded_tokens(batch: Iterable[Entry]) -> int:
    """What a batch costs: its longest length times its entries."""
    lengths = [entry.length for entry in batch]
    return max(lengths, default=0) * len(lengths)
