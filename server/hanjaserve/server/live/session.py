"""One live session, without I/O and without a clock: messages in, turns and events out.

    receive(message) -> document -> conversions -> next_turn() ... finish() -> outbox -> take()

Faults of one revision refuse that revision, and the session goes on from the next replace. Faults of the
protocol itself are raised, and end the session.
"""

from collections.abc import Iterator, Sequence

from hanjaserve.server.assembly import Conversion
from hanjaserve.server.errors import BadOption, HanjaserveError, LimitReached, RequestError, StateChanged
from hanjaserve.server.live.changes import Change, Splice
from hanjaserve.server.live.conversions import Conversions, Turn
from hanjaserve.server.live.document import Document
from hanjaserve.server.live.outbox import Outbox, rejected
from hanjaserve.server.live.resume import pieces_of
from hanjaserve.server.live.settings import SEGMENT_COST, LiveBounds, LiveBudget, LiveSettings
from hanjaserve.server.status import status_of
from hanjaserve.v1 import hanjaserve_pb2 as pb


class LiveSession:
    """The state of one LiveConvert call.

    Attributes:
        revision: That of the document.
        urgent: What is dirty is to be converted at once, whatever the interim rate says.
        outbox: What the client has not been told.
    """

    def __init__(
        self,
        settings: LiveSettings,
        bounds: LiveBounds,
        budget: LiveBudget,
        *,
        name: str,
        model_revision: str,
    ) -> None:
        self.revision = 0
        self.urgent = False
        self.settings = settings
        self._bounds = bounds
        self._budget = budget
        self._cost = 0
        self._name = name
        self._seen = self._done = 0
        self._refused = 0
        resume = settings.resume
        self._document = Document(
            settings.segmentation,
            settings.unit,
            max_code_points=bounds.code_points,
            max_segments=bounds.segments,
            first_number=max(1, resume.next_segment_id) if resume else 1,
        )
        self.outbox = Outbox(self._document.segments)
        self._conversions = Conversions(
            self._document, self.outbox, unit=settings.unit, finals_only=settings.finals_only
        )
        started = pb.LiveStarted(resume_token=name, model_revision=model_revision, limits=bounds.message())
        self.outbox.other(pb.LiveEvent(started=started))
        if resume is not None:
            self._resume(resume)

    @property
    def waiting(self) -> bool:
        """Whether there is a segment to convert."""
        return self._conversions.waiting

    @property
    def settled(self) -> bool:
        """Whether everything read so far is converted."""
        return self._conversions.settled

    @property
    def text(self) -> str:
        """The document; takes as long as it is."""
        return self._document.text

    def receive(self, message: pb.LiveRequest) -> None:
        """Do what a message asks for.

        Raises:
            RequestError: The message is not allowed there.
            StateChanged: Too many revisions in a row were refused.
            LimitReached: The client pings and does not read.
        """
        match message.WhichOneof("message"):
            case "edit":
                self._revise(message.edit.revision, message.edit)
            case "replace":
                self._revise(message.replace.revision, message.replace)
            case "commit":
                self._revise(message.commit.revision, message.commit)
            case "flush":
                self.urgent |= self.waiting
            case "ping":
                self.outbox.other(pb.LiveEvent(pong=pb.LivePong(nonce=message.ping.nonce)))
            case "config":
                raise BadOption("config", "config came after the first message: send it first, and once")
            case _:
                raise BadOption("message", "the message is empty: set one of its fields")
        self._settle()

    def end_input(self) -> None:
        """The client has half-closed: everything becomes final."""
        self._take_in(self._document.commit())
        self.urgent = True
        self._settle()

    def next_turn(self) -> Turn | None:
        """What is to be converted now; None if there is nothing, or a turn is under way."""
        turn = self._conversions.next_turn(self.revision)
        if turn is not None:
            # What did not fit into the turn need not wait for the next interval.
            self.urgent = self.waiting
        return turn

    def finish(self, turn: Turn, outcomes: Sequence[Conversion | HanjaserveError]) -> None:
        """Take in the results of a turn, in the order of its items."""
        self._conversions.finish(turn, outcomes)
        self._settle()

    def take(self) -> list[pb.LiveEvent]:
        """The events that are to be sent now."""
        return self.outbox.take(self.revision)

    def go_away(self) -> pb.LiveEvent:
        """The event that ends the session on shutdown."""
        return pb.LiveEvent(go_away=pb.GoAway(resume_token=self._name, revision=self.revision))

    def close(self) -> None:
        """Give back what the document takes from the budget."""
        self._budget.used -= self._cost
        self._cost = 0

    # ---- revisions

    def _revise(self, revision: int, asked: pb.LiveEdit | pb.LiveReplace | pb.LiveCommit) -> None:
        expected, self._seen = self._seen + 1, max(self._seen, revision)
        try:
            if isinstance(asked, pb.LiveReplace):
                _check_later(revision, expected)
            else:
                self._check_next(revision, expected)
            changes = self._changes(asked)
        except (RequestError, StateChanged, LimitReached) as error:
            self._refuse(revision, error)
            return
        self._refused = 0
        self.revision = revision
        self._conversions.begin()
        self._take_in(changes)

    def _check_next(self, revision: int, expected: int) -> None:
        if self._refused:
            raise StateChanged(
                f"revision {revision} follows one that was refused: send a replace, which makes any later"
            )
        if revision != expected:
            raise StateChanged(
                f"revision {revision} came, {expected} was expected: send a replace, which makes any later"
            )

    def _changes(self, asked: pb.LiveEdit | pb.LiveReplace | pb.LiveCommit) -> Iterator[Change]:
        """The changes of the document, checked but not made."""
        if isinstance(asked, pb.LiveCommit):
            self.urgent = True
            return self._document.commit()
        if isinstance(asked, pb.LiveReplace):
            self._budget.check(len(asked.text) - self._document.segments.code_points)
            return self._document.replace(asked.text)
        if len(asked.splices) > self._bounds.splices:
            message = f"splices has {len(asked.splices)}, the limit is {self._bounds.splices}: send a replace"
            raise BadOption("splices", message)
        self._budget.check(sum([len(splice.text) for splice in asked.splices]))
        return self._document.edit([Splice(start=s.start, end=s.end, text=s.text) for s in asked.splices])

    def _take_in(self, changes: Iterator[Change]) -> None:
        for change in changes:
            self._conversions.changed(change)
        self._conversions.settle(self.revision)
        self._charge()

    def _refuse(self, revision: int, error: HanjaserveError) -> None:
        self._refused += 1
        if self._refused > self._bounds.rejections:
            raise StateChanged(
                f"{self._bounds.rejections} revisions in a row were refused, and none was a replace: {error}"
            )
        self.outbox.other(rejected(revision, status_of(error), self.revision))

    def _charge(self) -> None:
        segments = self._document.segments
        cost = segments.code_points + SEGMENT_COST * len(segments)
        self._budget.used += cost - self._cost
        self._cost = cost

    def _settle(self) -> None:
        """Tell that revisions are done, once nothing of them is left."""
        if self._done < self.revision and self._conversions.settled:
            self.outbox.done(self._done + 1, self.revision)
            self._done = self.revision

    # ---- resuming

    def _resume(self, resume: pb.LiveResume) -> None:
        self._document.check_length(resume.text)
        self._budget.check(len(resume.text))
        pieces = list(pieces_of(resume, self.settings.unit))
        self.revision = self._seen = resume.revision
        self._done = max(0, resume.revision - 1)
        self._conversions.restored(self._document.restore(pieces))
        self._charge()
        self._settle()


def _check_later(revision: int, least: int) -> None:
    if revision < least:
        raise StateChanged(f"replace makes revision {revision}, which must be {least} or later: number it so")
