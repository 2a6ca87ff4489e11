"""What the batcher queues and what it hands out: entries, batches, and the count of both."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum


class Priority(IntEnum):
    """The class of an entry; a lower number goes first."""

    LIVE_FINAL = 0
    LIVE_INTERIM = 1
    INTERACTIVE = 2
    BULK = 3


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One queued encoding.

    Attributes:
        tokens: How many tokens it has, at least 1.
        priority: Its class.
        deadline: When the caller gives up, on the clock of `enqueued_at`; None waits for ever.
        enqueued_at: When it was put, in seconds on any monotonic clock.
        flow: What takes turns with others (turns.py): entries of one flow stand in line.
        span: The call that it belongs to, for an observer that traces; not looked at.
        key: Whatever the owner needs to find the entry's data; not looked at.
    """

    tokens: int
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    enqueued_at: float
    flow: object = None
    span: object = None
    key: object = None
    length: int = field(default=0, init=False)  # tokens, rounded up to the bucket
    ticket: int = field(default=-1, init=False)  # number in the queue; negative once it has left
    turn: int = field(default=0, init=False)  # see turns.py
    lane: Priority = field(default=Priority.INTERACTIVE, init=False)  # the class in which it waits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Entries to run together.

    Attributes:
        entries: The one whose turn it was first.
        priority: The class that it was made for.
        computed_tokens: What it costs, padding included.
        passed_since: Since when that class had been passed over.
        turn: The one that it was, by `turns.py`.
        last_turn: The last that an entry of its class has.
    """

    entries: list[Entry]
    priority: Priority
    computed_tokens: int
    passed_since: float
    turn: int
    last_turn: int

    def gives_way_to(self, newcomer: Entry, max_batch_tokens: int) -> bool:
        """Whether an entry might overtake one of the batch, or join it as it is not full."""
        if newcomer.lane != self.priority:
            return newcomer.lane < self.priority
        has_room = 2 * self.computed_tokens <= max_batch_tokens
        return has_room or newcomer.turn < self.last_turn


@dataclass(slots=True, kw_only=True)
class Totals:
    """What has been run since the start.

    Attributes:
        batches: How many.
        entries: In them.
        tokens: Of the entries, before padding.
        computed_tokens: With padding.
        run_s: Seconds that the batches took.
    """

    batches: int = 0
    entries: int = 0
    tokens: int = 0
    computed_tokens: int = 0
    run_s: float = 0.0

    @property
    def padding(self) -> float:
        """The share of computed tokens that was padding."""
        return 1 - self.tokens / self.computed_tokens if self.computed_tokens else 0.0


def padded_tokens(entries: Iterable[Entry]) -> int:
    """What a batch costs: its longest length times its entries."""
    lengths = [entry.length for entry in entries]
    return max(lengths, default=0) * len(lengths)
