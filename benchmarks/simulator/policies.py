"""The policies that are compared: others', as their sources or documentation describe them, and ours.

A policy sees arrivals and is asked for batches, either because the runner is idle, or in advance, as
soon as the runner has begun the batch before. What it gives in advance is what runs next.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from benchmarks.simulator.traces import Arrival
from hanjaserve.server.batcher import Batch, Batcher, Entry
from hanjaserve.server.errors import HanjaserveError


class Policy(Protocol):
    """Decides what runs when.

    Attributes:
        name: For the table.
    """

    name: str

    def put(self, arrival: Arrival, now: float) -> bool:
        """Take an arrival; False refuses it."""

    def next_batch(self, now: float, *, idle: bool) -> list[Arrival]:
        """What to run; nothing to wait. `idle` is whether the runner waits for it."""

    def wake_at(self) -> float | None:
        """When to ask an idle policy again although nothing arrives."""

    def gives_way(self, arrival: Arrival) -> bool:
        """Whether what was given in advance is to be decided anew; it is put back then."""

    def done(self, batch: Sequence[Arrival], seconds: float) -> None:
        """Learn what a batch took."""


class Fifo:
    """Up to `max_batch_size` texts in the order of arrival, whatever their lengths; none in advance."""

    def __init__(self, max_batch_size: int) -> None:
        self.name = f"FIFO, up to {max_batch_size}"
        self._max_batch_size = max_batch_size
        self._queue: deque[Arrival] = deque()

    def put(self, arrival: Arrival, now: float) -> bool:
        """See `Policy.put`."""
        self._queue.append(arrival)
        return True

    def next_batch(self, now: float, *, idle: bool) -> list[Arrival]:
        """See `Policy.next_batch`."""
        if not idle:
            return []
        return [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch_size))]

    def wake_at(self) -> float | None:
        """See `Policy.wake_at`."""
        return None

    def gives_way(self, arrival: Arrival) -> bool:
        """See `Policy.gives_way`."""
        return False

    def done(self, batch: Sequence[Arrival], seconds: float) -> None:
        """See `Policy.done`."""


class TextEmbeddingsInference(Fifo):
    """A token budget, padding included, in the order of arrival; one batch in advance.

    That is its policy for models that take padded rows, as ours do. Entries whose callers have left are
    skipped as they reach the front (core/src/queue.rs); a slot for one batch is filled as soon as there
    is anything to fill it with (core/src/infer.rs).
    """

    def __init__(self, max_batch_tokens: int) -> None:
        super().__init__(max_batch_size=1)
        self.name = f"TEI, {max_batch_tokens} tokens"
        self._max_batch_tokens = max_batch_tokens

    def next_batch(self, now: float, *, idle: bool) -> list[Arrival]:
        """See `Policy.next_batch`."""
        batch: list[Arrival] = []
        longest = 0
        while self._queue:
            head = self._queue[0]
            if head.deadline_s is None or head.deadline_s > now:
                longest = max(longest, head.tokens)
                if batch and longest * (len(batch) + 1) > self._max_batch_tokens:
                    break
                batch.append(head)
            self._queue.popleft()
        return batch


class Triton(Fifo):
    """The dynamic batcher: the largest preferred size that waits, or what waits after a delay.

    The runner's instance is asked for as it becomes idle. Neither lengths nor the callers' deadlines
    are known to it (docs/user_guide/model_configuration.md, `dynamic_batching`).
    """

    def __init__(self, preferred: Sequence[int], max_delay_s: float) -> None:
        super().__init__(max_batch_size=max(preferred))
        sizes = ", ".join(map(str, preferred))
        self.name = f"Triton, {sizes}, {max_delay_s * 1000:.0f} ms"
        self._preferred = sorted(preferred)
        self._max_delay_s = max_delay_s

    def next_batch(self, now: float, *, idle: bool) -> list[Arrival]:
        """See `Policy.next_batch`."""
        if not idle or not self._queue:
            return []
        size = max((n for n in self._preferred if n <= len(self._queue)), default=0)
        if not size and now < self._queue[0].at_s + self._max_delay_s:
            return []
        return [self._queue.popleft() for _ in range(size or len(self._queue))]

    def wake_at(self) -> float | None:
        """See `Policy.wake_at`."""
        return self._queue[0].at_s + self._max_delay_s if self._queue else None


class Ours:
    """The server's own batcher, fed as the pool feeds it."""

    def __init__(self, max_batch_tokens: int, runners: int = 1) -> None:
        self.name = f"hanjaserve, {max_batch_tokens} tokens"
        self._batcher = Batcher(
            max_batch_tokens=max_batch_tokens, max_queue_tokens=10**9, runners=runners
        )
        self._given: list[Batch] = []
        self._newest: Entry | None = None

    def put(self, arrival: Arrival, now: float) -> bool:
        """See `Policy.put`."""
        entry = Entry(
            tokens=arrival.tokens,
            priority=arrival.priority,
            deadline=arrival.deadline_s,
            enqueued_at=now,
            key=arrival,
        )
        try:
            self._batcher.put(entry)
        except HanjaserveError:
            return False
        self._newest = entry
        return True

    def next_batch(self, now: float, *, idle: bool) -> list[Arrival]:
        """See `Policy.next_batch`."""
        self._batcher.expired(now)
        if not idle and self._batcher.queued_tokens < self._batcher.max_batch_tokens:
            return []
        batch = self._batcher.next_batch(now)
        if batch is None:
            return []
        self._given.append(batch)
        return [entry.key for entry in batch.entries if isinstance(entry.key, Arrival)]

    def wake_at(self) -> float | None:
        """See `Policy.wake_at`."""
        return None

    def gives_way(self, arrival: Arrival) -> bool:
        """See `Policy.gives_way`."""
        assert self._newest is not None and self._newest.key is arrival
        if not self._given[-1].gives_way_to(self._newest, self._batcher.max_batch_tokens):
            return False
        self._batcher.take_back(self._given.pop())
        return True

    def done(self, batch: Sequence[Arrival], seconds: float) -> None:
        """See `Policy.done`."""
        done = next(given for given in self._given if given.entries[0].key is batch[0])
        self._given.remove(done)
        self._batcher.done(done, seconds)
