"""What a live session has been converted to so far: the client's side of the protocol, without I/O.

    events of the server -> LiveView -> segments, text, events for the caller

A view is a list of segments with the newest result of each. It may lag behind the document that is being
typed; `revision` says which revision of it the list belongs to.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from hanjaserve.client.errors import ConvertError, Internal, error_from_status
from hanjaserve.client.results import Span, span_from_proto
from hanjaserve.v1 import hanjaserve_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSegment:
    """A converted segment of a live document.

    Attributes:
        id: Names it for the whole session.
        revision: Which revision of the document it was converted from.
        start: Where it starts in the document of that revision, in code points.
        end: Where it ends (exclusive).
        text: Its text in the rendering that was asked for.
        spans: Its words, if `with_spans` was asked for; offsets count from the start of the segment.
        is_final: It stays so unless it, or the text before it on its line, is edited.
        error: Why it was not converted; `text` is the source text then.
    """

    id: int
    revision: int
    start: int
    end: int
    text: str
    spans: tuple[Span, ...] = ()
    is_final: bool = False
    error: ConvertError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsInvalidated:
    """Segments that were final are not any more: they were edited, or a new result follows."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionsDone:
    """All results of a revision are there, and revisions from `first` on have ended with it."""

    first: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRejected:
    """The server has refused a revision; `replace` the document to go on."""

    revision: int
    error: ConvertError


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResumed:
    """The session goes on over a new connection; finals are as they were."""

    revision: int


LiveEvent: TypeAlias = (
    LiveSegment | SegmentsInvalidated | RevisionsDone | RevisionRejected | SessionResumed
)


class LiveView:
    """The segments of a session.

    Attributes:
        revision: Which revision of the document the list of segments belongs to.
        done: The last revision of which all results are there.
        next_id: Greater than every segment id so far.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.done = 0
        self.next_id = 1
        self._list: list[tuple[int, int]] = []
        self._restarted = False
        self._results: dict[int, LiveSegment] = {}

    @property
    def text(self) -> str:
        """The converted document; segments without a result yet are missing."""
        return "".join([segment.text for segment in self.segments()])

    def segments(self) -> Iterator[LiveSegment]:
        """The segments that have a result, in the order of the text."""
        for number, _ in self._list:
            if number in self._results:
                yield self._results[number]

    @property
    def is_complete(self) -> bool:
        """Whether every segment of the list has a result."""
        return all(number in self._results for number, _ in self._list)

    def finals(self) -> Iterator[tuple[LiveSegment, int, int]]:
        """Final segments, and where they are in the document of `revision`."""
        at = 0
        for number, length in self._list:
            found = self._results.get(number)
            if found is not None and found.is_final:
                yield found, at, at + length
            at += length

    def restart(self, finals: Collection[int]) -> None:
        """A new connection: the server will tell the whole list again, with these segments still final."""
        self._restarted = True
        for number in set(self._results).difference(finals):
            self._unfinish(number)

    def apply(self, event: pb.LiveEvent) -> LiveEvent | None:
        """Take in an event of the server.

        Returns:
            What the caller is told; None for what is not its business.

        Raises:
            Internal: The event does not fit what came before.
        """
        match event.WhichOneof("event"):
            case "segments_changed":
                self._splice(event.segments_changed)
            case "result":
                return self._result(event.result)
            case "invalidated":
                return self._invalidate(event.invalidated)
            case "done":
                self.done = event.done.revision
                # The list that came with it may be that of a later edit already.
                self.revision = max(self.revision, self.done)
                return RevisionsDone(first=event.done.first_revision, revision=self.done)
            case "rejected":
                error = error_from_status(event.rejected.status)
                return RevisionRejected(revision=event.rejected.revision, error=error)
        return None

    def _splice(self, change: pb.SegmentsChanged) -> None:
        if self._restarted:
            self._restarted, self._list = False, []
            known = {head.segment_id for head in change.added}
            self._results = {number: found for number, found in self._results.items() if number in known}
        end = change.index + change.removed
        if end > len(self._list):
            raise Internal(
                f"the server replaced segments {change.index} to {end} of a list of {len(self._list)}"
            )
        gone = {number for number, _ in self._list[change.index : end]}
        added = [(head.segment_id, head.length) for head in change.added]
        self._list[change.index : end] = added
        for number in gone.difference(number for number, _ in added):
            self._results.pop(number, None)
        self.next_id = max([self.next_id, *(number + 1 for number, _ in added)])
        self.revision = change.revision

    def _result(self, message: pb.SegmentResult) -> LiveSegment:
        segment = LiveSegment(
            id=message.segment_id,
            revision=message.revision,
            start=message.start,
            end=message.end,
            text=message.text,
            spans=tuple(map(span_from_proto, message.spans)),
            is_final=message.is_final,
            error=error_from_status(message.error) if message.HasField("error") else None,
        )
        self._results[segment.id] = segment
        return segment

    def _invalidate(self, message: pb.Invalidated) -> SegmentsInvalidated:
        for number in message.segment_ids:
            self._unfinish(number)
        return SegmentsInvalidated(ids=tuple(message.segment_ids))

    def _unfinish(self, number: int) -> None:
        """Show a result until the next one comes, but do not take it for final."""
        found = self._results.get(number)
        if found is not None and found.is_final:
            self._results[number] = replace(found, is_final=False)
