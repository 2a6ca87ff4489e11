"""The entries of one class that wait, by length and in the order in which they were put.

Tickets number entries as they are put and are never used twice, so the smallest is the oldest. Nothing here
takes longer for a longer queue.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from hanjaserve.server.entry import Entry


class Lane:
    """A queue of entries.

    Attributes:
        tokens: Of all entries, rounded up to buckets.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._queues: dict[int, OrderedDict[int, Entry]] = {}  # by length; none is empty

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Entry]:
        for queue in self._queues.values():
            yield from queue.values()

    def append(self, entry: Entry) -> None:
        """Add an entry, which is younger than all others."""
        self._queues.setdefault(entry.length, OrderedDict())[entry.ticket] = entry
        self.tokens += entry.length

    def remove(self, entry: Entry) -> None:
        """Take an entry out, wherever it is."""
        queue = self._queues[entry.length]
        del queue[entry.ticket]
        if not queue:
            del self._queues[entry.length]
        self.tokens -= entry.length

    def restore(self, entries: Sequence[Entry]) -> None:
        """Bring entries back to their places, which are not far from the front."""
        for entry in sorted(entries, key=_ticket, reverse=True):
            self.append(entry)
            queue = self._queues[entry.length]
            older = list(takewhile(lambda ticket, own=entry.ticket: ticket < own, queue))  # type: ignore[misc]
            for ticket in (entry.ticket, *reversed(older)):
                queue.move_to_end(ticket, last=False)

    def oldest(self, longest: int | None = None) -> Entry | None:
        """The entry that has waited longest, of those up to a length."""
        heads = [
            next(iter(queue.values()))
            for length, queue in self._queues.items()
            if longest is None or length <= longest
        ]
        return min(heads, key=_ticket, default=None)

    def counts(self) -> dict[int, int]:
        """How many entries there are of each length."""
        return {length: len(queue) for length, queue in self._queues.items()}

    def first(self, length: int, count: int, before: int) -> list[Entry]:
        """Up to `count` entries of a length, oldest first, with tickets below `before`."""
        entries = islice(self._queues.get(length, {}).values(), count)
        return list(takewhile(lambda entry: entry.ticket < before, entries))


def _ticket(entry: Entry) -> int:
    return entry.ticket
