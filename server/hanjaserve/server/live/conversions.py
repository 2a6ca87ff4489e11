"""Which segments are to be converted, in what order, and what becomes of the results.

A segment is *dirty* when its text or its context has changed since it was last given out. Segments are given
out in turns of bounded size, one turn at a time, those of the newest edit first; so what was typed last does
not wait behind a long text that was pasted before, and a turn always takes the newest text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from hanjaserve.server.assembly import Conversion
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.live.changes import Change
from hanjaserve.server.live.document import CONTEXT, Document
from hanjaserve.server.live.offsets import OffsetUnit, units_of
from hanjaserve.server.live.outbox import Outbox
from hanjaserve.server.live.segments import Segment
from hanjaserve.server.messages import fill_spans
from hanjaserve.server.status import status_of
from hanjaserve.v1 import hanjaserve_pb2 as pb

TURN_CODE_POINTS = 1_024
"""Text of a turn, contexts included, beyond which it takes no more segments."""
FEW = 64
"""An edit of more segments than that has pasted rather than typed."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Item:
    """A segment of a turn, as it was when the turn began.

    Attributes:
        segment: The segment.
        text: Its text, behind its context.
        skip: The length of the context.
        message: Where it is; the result will be filled in.
    """

    segment: Segment
    text: str
    skip: int
    message: pb.SegmentResult


@dataclass(slots=True, frozen=True, kw_only=True)
class Turn:
    """What is converted in one go.

    Attributes:
        items: Its segments.
        code_points: Their text, contexts included.
        is_final: All of them are closed.
    """

    items: Sequence[Item]
    code_points: int
    is_final: bool


@dataclass(slots=True)
class Conversions:
    """The dirty segments of one document."""

    document: Document
    outbox: Outbox
    unit: OffsetUnit
    finals_only: bool
    under_way: bool = False
    _dirty: dict[int, Segment] = field(default_factory=dict)
    _newest: dict[int, Segment] = field(default_factory=dict)
    _same: list[Segment] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        """Whether there is a segment to give out."""
        if not self.finals_only or len(self._dirty) > 1:
            return bool(self._dirty)
        return any(segment.is_closed for segment in self._dirty.values())

    @property
    def settled(self) -> bool:
        """Whether every result of the document as it is has been told."""
        return not self.waiting and not self.under_way

    def begin(self) -> None:
        """A new revision begins: what it changes goes first."""
        self._newest = {}

    def changed(self, change: Change) -> None:
        """Note what a change that has just been made asks for; after the last one of a revision, `settle`."""
        self.outbox.changed(change)
        for segment in change.gone:
            self._forget(segment)
        for segment in change.rewritten:
            segment.held = None
            self._forget(segment)
            self._mark(segment)
        if len(change.rewritten) <= FEW:
            self._newest |= {segment.number: segment for segment in change.rewritten}
        if len(change.rewritten) < len(change.added):
            fresh = set(change.rewritten)
            same = [segment for segment in change.added if segment not in fresh]
            self._look_again(same)
            self._same += same
        behind = change.index + len(change.added)
        self._look_again(self.document.segments.slice(behind, behind + CONTEXT))

    def settle(self, revision: int) -> None:
        """Make those final that the changes of a revision have closed and whose result is there.

        Not before all of them are made: the splices of an edit are, from the last one to the first, and each
        moves what is behind it.
        """
        for segment in self._same:
            closed = segment.block is not None and segment.is_closed
            if closed and segment.held is not None and segment.number not in self._dirty:
                _, start = self.document.segments.place_of(segment)
                message, digest = segment.held
                message.revision, message.start, message.end = revision, start, start + segment.units
                self._make_final(segment, message, digest)
        self._same = []

    def restored(self, finals: Iterable[Segment]) -> None:
        """Note a document that has been restored, and which of its segments have been converted."""
        self.outbox.restored()
        for segment in finals:
            index, _ = self.document.segments.place_of(segment)
            segment.context = hash(self.document.context_of(index))
            segment.final, segment.sent = 0, True
        for segment in self.document.segments:
            if segment.final is None:
                self._mark(segment)

    def next_turn(self, revision: int) -> Turn | None:
        """Give out dirty segments; None if there are none, or a turn is under way."""
        if self.under_way:
            return None
        items: list[Item] = []
        size = 0
        for segment in [*self._newest.values(), *islice(self._dirty.values(), 2 * TURN_CODE_POINTS)]:
            if segment.number not in self._dirty or (self.finals_only and not segment.is_closed):
                continue
            items.append(self._item(segment, revision))
            size += len(items[-1].text)
            del self._dirty[segment.number]
            if size >= TURN_CODE_POINTS:
                break
        if not items:
            return None
        self.under_way = True
        is_final = all(item.segment.is_closed for item in items)
        return Turn(items=items, code_points=size, is_final=is_final)

    def finish(self, turn: Turn, outcomes: Sequence[Conversion | HanjaserveError]) -> None:
        """Take in the results of a turn, in the order of its items."""
        self.under_way = False
        for item, outcome in zip(turn.items, outcomes, strict=True):
            segment = item.segment
            if segment.block is None:
                continue
            digest = self._fill(item, outcome)
            if segment.number in self._dirty:
                # Old already; but whoever types without a pause would see nothing otherwise.
                if segment.final is None and not self.finals_only:
                    self.outbox.result(segment, item.message)
            elif segment.is_closed or segment.final is not None:
                self._make_final(segment, item.message, digest)
            else:
                segment.held = item.message, digest
                if not self.finals_only:
                    self.outbox.result(segment, _copy(item.message))

    def _item(self, segment: Segment, revision: int) -> Item:
        index, start = self.document.segments.place_of(segment)
        context = self.document.context_of(index)
        segment.context = hash(context)
        message = pb.SegmentResult(
            revision=revision, segment_id=segment.number, start=start, end=start + segment.units
        )
        return Item(segment=segment, text=context + segment.text, skip=len(context), message=message)

    def _fill(self, item: Item, outcome: Conversion | HanjaserveError) -> int:
        """Write a result into its message; returns a hash of it."""
        text = item.text[item.skip :]
        if isinstance(outcome, HanjaserveError):
            item.message.text = text
            item.message.error.CopyFrom(status_of(outcome))
            return hash(str(outcome))
        item.message.text = outcome.text
        places = units_of(text, self.unit)
        fill_spans(item.message.spans, outcome.spans, places)
        return hash((outcome.text, outcome.spans))

    def _make_final(self, segment: Segment, message: pb.SegmentResult, digest: int) -> None:
        if segment.final == digest:
            return
        if segment.final is not None:
            self.outbox.invalidate(segment)
        message.is_final = True
        segment.final, segment.held = digest, None
        self.outbox.result(segment, message)

    def _look_again(self, segments: Iterable[Segment]) -> None:
        """Mark those whose context has changed, up to where a change can't reach."""
        distance = 0
        for segment in segments:
            if distance >= CONTEXT:
                break
            if segment.number not in self._dirty:
                index, _ = self.document.segments.place_of(segment)
                if segment.context != hash(self.document.context_of(index)):
                    segment.held = None
                    self._mark(segment)
                    self._newest[segment.number] = segment
            distance += len(segment.text)
            if "\n" in segment.text:
                break

    def _mark(self, segment: Segment) -> None:
        self._dirty[segment.number] = segment

    def _forget(self, segment: Segment) -> None:
        self._dirty.pop(segment.number, None)
        if segment.final is not None:
            self.outbox.invalidate(segment)


def _copy(message: pb.SegmentResult) -> pb.SegmentResult:
    copied = pb.SegmentResult()
    copied.CopyFrom(message)
    return copied
