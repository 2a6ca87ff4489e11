"""The entries of one class that wait, by length and in the order of their turns.

Equal turns go by tickets: these number entries as they are put and are never used twice. Nothing here takes
noticeably longer for a longer queue.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from hanjaserve.server.entry import Entry
from hanjaserve.server.turns import FEW, Turns

Queue = list[tuple[int, int, Entry]]
"""A heap of (turn, ticket, entry). One that was removed may still be in it, with another ticket by then."""


class Lane:
    """A queue of entries.

    Attributes:
        tokens: Of all entries, rounded up to buckets.
        turns: Gives them out.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self.turns = Turns()
        self._queues: dict[int, Queue] = {}  # by length
        self._counts: dict[int, int] = {}  # by length; none is 0

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __iter__(self) -> Iterator[Entry]:
        for queue in self._queues.values():
            yield from (entry for _, ticket, entry in queue if entry.ticket == ticket)

    def append(self, entry: Entry) -> None:
        """Add an entry, which gets its turn."""
        self.turns.assign(entry)
        self._insert(entry)

    def restore(self, entries: Sequence[Entry]) -> None:
        """Bring entries back that were taken, to the places that they had."""
        for entry in entries:
            self.turns.restore(entry)
            entry.ticket = -entry.ticket
            self._insert(entry)

    def remove(self, entry: Entry) -> None:
        """Take an entry out for good, wherever it is."""
        self._forget(entry)
        queue = self._queues.get(entry.length, [])
        if len(queue) > FEW + 2 * self._counts.get(entry.length, 0):
            queue[:] = [item for item in queue if item[2].ticket == item[1]]
            heapify(queue)

    def oldest(self, longest: int | None = None) -> Entry | None:
        """The entry whose turn is next, of those up to a length."""
        tops = [self._top(length) for length in self._counts if longest is None or length <= longest]
        return min(tops)[2] if tops else None

    def counts(self) -> dict[int, int]:
        """How many entries there are of each length."""
        return dict(self._counts)

    def take(self, length: int, count: int, before: int) -> list[Entry]:
        """Take out up to `count` entries of a length in the order of turns, with tickets below `before`."""
        taken: list[Entry] = []
        while len(taken) < count and length in self._counts:
            _, ticket, entry = self._top(length)
            if ticket >= before:
                break
            heappop(self._queues[length])
            self._forget(entry)
            taken.append(entry)
        return taken

    def _insert(self, entry: Entry) -> None:
        heappush(self._queues.setdefault(entry.length, []), (entry.turn, entry.ticket, entry))
        self._counts[entry.length] = self._counts.get(entry.length, 0) + 1
        self.tokens += entry.length

    def _forget(self, entry: Entry) -> None:
        entry.ticket = -entry.ticket
        self.turns.leave(entry)
        self.tokens -= entry.length
        self._counts[entry.length] -= 1
        if not self._counts[entry.length]:
            del self._counts[entry.length], self._queues[entry.length]

    def _top(self, length: int) -> tuple[int, int, Entry]:
        queue = self._queues[length]
        while queue[0][2].ticket != queue[0][1]:
            heappop(queue)
        return queue[0]
