"""What the client has not been told yet: the newest state of everything, not a queue of messages.

A client that reads slowly misses interim results that a newer one replaces, and nothing else. What is held
for it is bounded by its document: one result per segment, one change of the list, one range of revisions.
"""

from collections.abc import Iterator

from google.rpc import status_pb2

from hanjaserve.server.errors import LimitReached
from hanjaserve.server.live.changes import Change
from hanjaserve.server.live.segments import Segment, Segments
from hanjaserve.v1 import hanjaserve_pb2 as pb

MAX_PONGS = 64
MANY = 2_000


class Outbox:
    """The events of one session that wait to be sent."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        # How many segments the client knows; how many of them at both ends are as they were.
        self._known = 0
        self._same: tuple[int, int] | None = None
        self._results: dict[int, tuple[Segment, pb.SegmentResult]] = {}
        self._invalidated: dict[int, None] = {}
        self._done: tuple[int, int] | None = None
        self._others: list[pb.LiveEvent] = []
        self._pongs = 0

    def __bool__(self) -> bool:
        return bool(self._same or self._results or self._invalidated or self._done or self._others)

    @property
    def urgent(self) -> bool:
        """Whether something waits that is worth a message of its own.

        A change of the list is not: it goes with the result that follows it.
        """
        return bool(self._results or self._done or self._others)

    @property
    def is_long(self) -> bool:
        """Whether writing down what waits takes so long that it should not be done on the event loop."""
        return self._same is not None and len(self._segments) - sum(self._same) > MANY

    def other(self, event: pb.LiveEvent) -> None:
        """Add an event that is sent as it is.

        Raises:
            LimitReached: Too many pongs wait.
        """
        if event.HasField("pong"):
            self._pongs += 1
            if self._pongs > MAX_PONGS:
                raise LimitReached(
                    f"{MAX_PONGS} pongs wait for the client to read them: read, or ping less often"
                )
        self._others.append(event)

    def changed(self, change: Change) -> None:
        """The list of segments has changed; the change must be the last one that was made."""
        for segment in change.gone:
            self._results.pop(segment.number, None)
        if not change.rewritten and not change.gone:
            return
        before = change.index
        after = len(self._segments) - change.index - len(change.added)
        if self._same is not None:
            before, after = min(before, self._same[0]), min(after, self._same[1])
        self._same = before, after

    def restored(self) -> None:
        """The client knows none of the segments that there are, but the results of the final ones."""
        self._same = 0, 0

    def result(self, segment: Segment, message: pb.SegmentResult) -> None:
        """A segment has been converted; replaces what waits for it."""
        self._results[segment.number] = segment, message

    def invalidate(self, segment: Segment) -> None:
        """A segment is not final any more."""
        self._results.pop(segment.number, None)
        if segment.sent:
            self._invalidated[segment.number] = None
        segment.final, segment.sent = None, False

    def done(self, first: int, last: int) -> None:
        """Revisions from `first` to `last` are done."""
        self._done = (self._done[0] if self._done else first), last

    def take(self, revision: int) -> list[pb.LiveEvent]:
        """What is to be sent, in order; it counts as sent then.

        Args:
            revision: That of the document.
        """
        events, self._others, self._pongs = self._others, [], 0
        events += self._state(revision)
        return events

    def _state(self, revision: int) -> Iterator[pb.LiveEvent]:
        if self._invalidated:
            invalidated = pb.Invalidated(revision=revision, segment_ids=self._invalidated)
            yield pb.LiveEvent(invalidated=invalidated)
            self._invalidated = {}
        if self._same:
            yield pb.LiveEvent(segments_changed=self._list_change(revision, *self._same))
            self._same = None
        for segment, result in self._results.values():
            segment.sent = segment.sent or result.is_final
            yield pb.LiveEvent(result=result)
        self._results = {}
        if self._done:
            first, last = self._done
            yield pb.LiveEvent(done=pb.RevisionDone(revision=last, first_revision=first))
            self._done = None

    def _list_change(self, revision: int, before: int, after: int) -> pb.SegmentsChanged:
        removed = self._known - before - after
        self._known = len(self._segments)
        added = self._segments.slice(before, self._known - after)
        return pb.SegmentsChanged(
            revision=revision,
            index=before,
            removed=removed,
            added=[pb.SegmentHead(segment_id=segment.number, length=segment.units) for segment in added],
        )


def rejected(revision: int, status: status_pb2.Status, current: int) -> pb.LiveEvent:
    """The event that says why a revision was refused."""
    return pb.LiveEvent(rejected=pb.Rejected(revision=revision, status=status, current_revision=current))
