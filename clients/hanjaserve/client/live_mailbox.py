"""Events of a live session that the caller has not taken yet: the newest of each segment, none twice."""

from hanjaserve.client.live_view import (
    LiveEvent,
    LiveSegment,
    RevisionRejected,
    RevisionsDone,
    SegmentsInvalidated,
)


class Mailbox:
    """Events in order. Whoever looks into it seldom, or never, costs no more than the document."""

    def __init__(self) -> None:
        self._events: dict[object, LiveEvent] = {}

    def __bool__(self) -> bool:
        return bool(self._events)

    def take(self) -> LiveEvent:
        """Take the oldest event out."""
        return self._events.pop(next(iter(self._events)))

    def put(self, event: LiveEvent) -> None:
        """Add an event, in the place of older ones that it makes useless."""
        key: object = type(event)
        match event:
            case LiveSegment():
                key = event.id
                self._events.pop(key, None)
            case SegmentsInvalidated():
                for number in event.ids:
                    self._events.pop(number, None)
                known = self._events.get(key)
                if isinstance(known, SegmentsInvalidated):
                    # Stays where it is, before all results that follow it.
                    event = SegmentsInvalidated(ids=tuple(dict.fromkeys(known.ids + event.ids)))
            case RevisionsDone():
                known = self._events.pop(key, None)
                if isinstance(known, RevisionsDone):
                    event = RevisionsDone(first=known.first, revision=event.revision)
            case RevisionRejected():
                key = ("rejected", event.revision)
        self._events[key] = event
