"""A session against a client, as a state machine: edits, cuts, lost connections, in any order.

The converter is a stand-in (sessions.py). "Fresh conversion" is: cut the final document into segments by the
rule (where the client has committed or resumed: as the session has), take the context of each, and convert
each by itself.

The client counts code points; if the session counts UTF-16 units, messages are put into those on their way.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hanjaserve.client.live_document import LiveDocument, Splice
from hanjaserve.client.live_view import LiveSegment, LiveView
from hanjaserve.server.live.conversions import Turn
from hanjaserve.server.live.cutting import Segmentation, ends_in
from hanjaserve.server.live.document import CONTEXT
from hanjaserve.server.live.session import LiveSession
from hanjaserve.server.live.settings import LiveBudget
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.support.long import LONG, note

from .sessions import BOUNDS, converted, opened, outcomes
from .utf16 import cut, to_points, to_units, units

ASTRAL = ["𠀀", "𩸽다", "😀. "]
PARTS = ["가", "수도", " ", ".", "\n", "다. ", "!” ", "ㅅ", "가나다라마바사아자차카타파하 " * 5, "x", *ASTRAL]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=5).map("".join)
SEGMENTATIONS = {
    Segmentation.SENTENCE: pb.SEGMENTATION_SENTENCE,
    Segmentation.LINE: pb.SEGMENTATION_LINE,
}


def fresh(text: str, lengths: Sequence[int]) -> str:
    parts, at = [], 0
    for length in lengths:
        context = text[max(0, at - CONTEXT) : at].rpartition("\n")[2]
        parts.append(converted(context, text[at : at + length]))
        at += length
    assert at == len(text)
    return "".join(parts)


class Typing(RuleBasedStateMachine):
    """A client and a server with a connection between them, which nothing makes wait in order.

    Args:
        counts: Is added to: what has happened how often.

    Attributes:
        texts: The client's text, by revision.
        good: The last revision that the server will have taken when all is delivered.
        hopeless: Those of this session that it will have refused.
    """

    def __init__(self, counts: "Counter[str]") -> None:
        super().__init__()
        self.counts = counts
        self.budget = LiveBudget(10**9)
        self.finals_only = False
        self.segmentation = Segmentation.SENTENCE
        self.utf16 = False
        self.session = self.begin()
        self.document, self.view = LiveDocument(), LiveView()
        self.texts = {0: ""}
        self.good = 0
        self.hopeless: list[int] = []
        self.sent: list[pb.LiveRequest] = []
        self.turn: Turn | None = None
        self.committed = False
        self.ended: dict[int, int] = {}
        self.rejected: set[int] = set()
        self.final: dict[int, LiveSegment] = {}

    def begin(self, resume: pb.LiveResume | None = None) -> LiveSession:
        config = pb.LiveConfig(
            finals_only=self.finals_only,
            segmentation=SEGMENTATIONS[self.segmentation],
            offset_unit=pb.OFFSET_UNIT_UTF16 if self.utf16 else pb.OFFSET_UNIT_CODE_POINT,
            resume=resume,
        )
        return opened(config, self.budget)

    @initialize(utf16=st.booleans())
    def count_in(self, utf16: bool) -> None:
        self.counts["UTF-16 sessions"] += utf16
        self.utf16 = utf16
        self.session = self.begin()

    @rule(finals_only=st.booleans(), segmentation=st.sampled_from(Segmentation))
    @precondition(lambda self: self.document.revision == 0)
    def configure(self, finals_only: bool, segmentation: Segmentation) -> None:
        self.finals_only, self.segmentation = finals_only, segmentation
        self.session = self.begin()

    # ---- the client types; messages are on their way until `deliver`

    def send(self, message: pb.LiveRequest, *, is_bad: bool = False) -> None:
        """Send the revision that the document has just made."""
        revision, text = self.document.revision, self.document.text
        self.texts[revision] = text
        if self.utf16:
            to_units(message.edit.splices, self.texts[revision - 1])
        self.sent.append(message)
        stuck = self.good < revision - 1 and not message.HasField("replace")
        if is_bad or stuck:
            self.hopeless.append(revision)
        else:
            self.good = revision
        if revision - self.good == BOUNDS.rejections:  # one more would end the session
            self.send(self.document.replace(""))

    @rule(places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), TEXTS), min_size=1, max_size=3))
    def edit(self, places: list[tuple[float, int, str]]) -> None:
        splices, done, size = [], 0, len(self.document.text)
        for where, length, text in sorted(places):
            start = max(done, round(where * size))
            done = min(size, start + length)
            splices.append(Splice(start=start, end=done, text=text))
        self.counts["edits"] += 1
        self.send(self.document.edit(splices))

    @rule(text=TEXTS)
    def append(self, text: str) -> None:
        self.counts["edits"] += 1
        end = len(self.document.text)
        self.send(self.document.edit([Splice(start=end, end=end, text=text)]))

    @rule(text=TEXTS)
    def replace(self, text: str) -> None:
        self.send(self.document.replace(text))

    @rule()
    def commit(self) -> None:
        self.committed |= bool(self.document.text)
        self.send(self.document.commit())

    @rule()
    def flush(self) -> None:
        self.sent.append(pb.LiveRequest(flush=pb.LiveFlush()))

    @rule(how=st.sampled_from(["too long", "outside", "in a pair"]), then=st.none() | TEXTS)
    def refused(self, how: str, then: str | None) -> None:
        """An edit that is refused, and so is what follows; up to a replace, which may come at once."""
        self.counts["refused"] += 1
        text = self.document.text
        if how == "too long":
            too_long = "가" * (BOUNDS.code_points + 1)
            self.send(self.document.edit([Splice(start=0, end=0, text=too_long)]), is_bad=True)
        else:
            pairs = [at for at, char in enumerate(text) if char > "\uffff"]
            inside = how == "in a pair" and self.utf16 and pairs
            at = (units(text[: pairs[-1]]) if inside else units(text)) + 1
            message = self.document.edit([])
            self.send(message, is_bad=True)
            message.edit.splices.add(start=at, end=at)
        if then is not None:
            self.send(self.document.replace(then))

    # ---- the server works

    @rule(count=st.integers(1, 3))
    @precondition(lambda self: self.sent)
    def deliver(self, count: int) -> None:
        for message in self.sent[:count]:
            self.session.receive(message)
        self.sent = self.sent[count:]

    @rule()
    @precondition(lambda self: self.turn is None)
    def begin_turn(self) -> None:
        self.turn = self.session.next_turn()

    @rule()
    @precondition(lambda self: self.turn is not None)
    def finish_turn(self) -> None:
        assert self.turn is not None
        turn, self.turn = self.turn, None
        self.session.finish(turn, outcomes(turn))

    # ---- the client reads, or loses the connection

    @rule()
    def read(self) -> None:
        for event in self.session.take():
            self.apply(event)
        self.document.forget(self.view.done)

    def apply(self, event: pb.LiveEvent) -> None:
        change = event.segments_changed
        if self.utf16 and change.added:
            before = sum([length for _, length in self.view._list[: change.index]])
            to_points(change.added, self.texts[change.revision][before:])
        if event.HasField("result"):
            self.check_places(event.result)
        for number in event.invalidated.segment_ids:
            assert number in self.final, "only finals are invalidated"
            del self.final[number]
        found = self.view.apply(event)
        if isinstance(found, LiveSegment):
            assert found.id not in self.final, "a final changed without being invalidated"
            assert found.is_final or not self.finals_only
            if found.is_final:
                self.final[found.id] = found
        if event.HasField("done"):
            for revision in range(event.done.first_revision, event.done.revision + 1):
                if revision not in self.rejected:
                    self.ended[revision] = self.ended.get(revision, 0) + 1
        if event.HasField("rejected"):
            assert event.rejected.revision not in self.ended.keys() | self.rejected
            self.rejected.add(event.rejected.revision)

    def check_places(self, result: pb.SegmentResult) -> None:
        """The places of a segment and of its span are those of the text that was converted."""
        text = self.texts[result.revision]
        taken = cut(text, result.start, result.end) if self.utf16 else text[result.start : result.end]
        assert result.text.endswith(taken if result.HasField("error") else f"|{taken}>")
        assert all((span.start, span.end) == (0, result.end - result.start) for span in result.spans)

    @rule(before=st.sampled_from([None, "read", "settle"]))
    def lose_connection(self, before: str | None) -> None:
        self.counts["lost connections"] += 1
        if before == "read":
            self.read()
        elif before == "settle":
            self.settle()
        if len(self.document.text) > BOUNDS.code_points / 2:  # of an edit that was too long
            self.document.replace("")
            self.texts[self.document.revision] = ""
        resume = self.document.resume(self.view, "session")
        if self.utf16:
            to_units(resume.finals, self.document.text)
        self.committed |= bool(resume.finals)
        kept = {final.segment_id for final in resume.finals}
        self.final = {number: final for number, final in self.final.items() if number in kept}
        self.session.close()
        self.sent, self.turn = [], None
        self.session = self.begin(resume)
        self.view.restart(kept)
        # Whatever was not answered is answered by the new session, as one.
        self.ended, self.rejected = {revision: 1 for revision in range(1, self.document.revision)}, set()
        self.good, self.hopeless = self.document.revision, []

    # ---- what must hold

    def settle(self) -> None:
        self.deliver(len(self.sent))
        for _ in range(1000):
            if self.turn is None:
                self.turn = self.session.next_turn()
            if self.turn is None:
                break
            self.finish_turn()
        self.read()
        assert self.session.settled and not self.session.outbox

    @rule()
    def compare(self) -> None:
        self.counts["comparisons"] += 1
        self.settle()
        text = self.texts[self.good]
        assert self.session.text == text
        assert self.rejected == set(self.hopeless)
        lengths = [length for _, length in self.view._list]
        if not self.committed and all(length < 512 for length in lengths):
            ends = [0, *ends_in(text, self.segmentation), len(text)]
            assert lengths == [b - a for a, b in pairwise(ends) if b > a]
        if self.finals_only:
            # What is open has no result, or that of an earlier text: all others have theirs.
            finals = [segment.text for segment, _, _ in self.view.finals()]
            assert "".join(finals) in (fresh(text, lengths), fresh(text[: sum(lengths[:-1])], lengths[:-1]))
        else:
            assert self.view.text == fresh(text, lengths)
        answered = set(range(1, self.document.revision + 1)) - self.rejected
        assert self.ended == dict.fromkeys(answered, 1)

    def teardown(self) -> None:
        if self.good < self.document.revision:
            self.send(self.document.replace("".join(PARTS)))
        self.settle()
        self.session.end_input()
        self.settle()
        assert self.view.text == fresh(self.document.text, [length for _, length in self.view._list])
        assert len(self.final) == len(self.view._list), "everything is final in the end"
        self.session.close()
        assert self.budget.used == 0

    @invariant()
    def finals_are_what_they_were(self) -> None:
        self.counts["steps"] += 1
        for segment, _, _ in self.view.finals():
            assert self.final.get(segment.id) == segment


@pytest.mark.timeout(7200 if LONG else 120)
def test_whatever_is_typed_the_text_is_that_of_a_fresh_conversion() -> None:
    counts: Counter[str] = Counter()
    quiet = settings(
        max_examples=600 if LONG else 60,
        stateful_step_count=200 if LONG else 40,
        # Without Phase.explain, which traces every line: a failure would be looked at until the time is up.
        phases=(Phase.reuse, Phase.generate, Phase.shrink),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Typing(counts), settings=quiet)  # type: ignore[no-untyped-call]
    note("state machine", **counts)
