"""A session against a client, as a state machine: edits, cuts, lost connections, in any order.

The converter is a stand-in whose result depends on every character of a segment and of its context, so
that a result made from anything else is noticed. "Fresh conversion" is: cut the final document into
segments by the rule (where the client has committed or resumed: as the session has), take the context of
each, and convert each by itself. A text with a half-composed ㅅ can't be converted, and stands for itself.

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

from hanjaserve.client.live_document import LiveDocument
from hanjaserve.client.live_document import Splice as ClientSplice
from hanjaserve.client.live_view import LiveSegment, LiveView
from hanjaserve.server.assembly import Conversion
from hanjaserve.server.errors import BadOption, HanjaserveError, LimitReached, RuntimeFault, StateChanged
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.live.conversions import Turn
from hanjaserve.server.live.cutting import Segmentation, ends_in
from hanjaserve.server.live.document import CONTEXT
from hanjaserve.server.live.session import LiveSession
from hanjaserve.server.live.settings import LiveBounds, LiveBudget, LiveSettings
from hanjaserve.server.spans import Span
from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.support.long import LONG, note

from .utf16 import cut, to_points, to_units, units

ASTRAL = ["𠀀", "𩸽다", "😀. "]
PARTS = ["가", "수도", " ", ".", "\n", "다. ", "!” ", "ㅅ", "가나다라마바사아자차카타파하 " * 5, "x", *ASTRAL]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=5).map("".join)
BOUNDS = LiveBounds(code_points=20_000)
UNCONVERTIBLE = "ㅅ"
SEGMENTATIONS = {
    Segmentation.SENTENCE: pb.SEGMENTATION_SENTENCE,
    Segmentation.LINE: pb.SEGMENTATION_LINE,
}


def converted(context: str, text: str) -> str:
    return text if UNCONVERTIBLE in text else f"<{context}|{text}>"


def outcomes(turn: Turn) -> list[Conversion | HanjaserveError]:
    found: list[Conversion | HanjaserveError] = []
    for item in turn.items:
        context, text = item.text[: item.skip], item.text[item.skip :]
        if UNCONVERTIBLE in text:
            found.append(RuntimeFault("the runner failed on this text"))
            continue
        span = Span(start=0, end=len(text), hangul=text, hanja="", score=0.5)
        found.append(Conversion(text=converted(context, text), spans=(span,)))
    return found


def fresh(text: str, lengths: Sequence[int]) -> str:
    parts, at = [], 0
    for length in lengths:
        context = text[max(0, at - CONTEXT) : at].rpartition("\n")[2]
        parts.append(converted(context, text[at : at + length]))
        at += length
    assert at == len(text)
    return "".join(parts)


def opened(
    config: pb.LiveConfig, budget: LiveBudget | None = None, bounds: LiveBounds = BOUNDS
) -> LiveSession:
    found = LiveSettings.read(config, bounds, ["modern"], Glossaries())
    return LiveSession(found, bounds, budget or LiveBudget(10**9), name="session", model_revision="abc")


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
            splices.append(ClientSplice(start=start, end=done, text=text))
        self.counts["edits"] += 1
        self.send(self.document.edit(splices))

    @rule(text=TEXTS)
    def append(self, text: str) -> None:
        self.counts["edits"] += 1
        end = len(self.document.text)
        self.send(self.document.edit([ClientSplice(start=end, end=end, text=text)]))

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
            self.send(self.document.edit([ClientSplice(start=0, end=0, text=too_long)]), is_bad=True)
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


# ---- what is refused


def edit(revision: int, start: int, end: int, text: str) -> pb.LiveRequest:
    splices = [pb.Splice(start=start, end=end, text=text)]
    return pb.LiveRequest(edit=pb.LiveEdit(revision=revision, splices=splices))


def splices(revision: int, count: int) -> pb.LiveRequest:
    return pb.LiveRequest(edit=pb.LiveEdit(revision=revision, splices=[pb.Splice()] * count))


def replace(revision: int, text: str) -> pb.LiveRequest:
    return pb.LiveRequest(replace=pb.LiveReplace(revision=revision, text=text))


def rejections(session: LiveSession) -> list[tuple[int, int, str]]:
    found = [event.rejected for event in session.take() if event.HasField("rejected")]
    return [(event.revision, event.status.code, event.status.message) for event in found]


INVALID, PRECONDITION, EXHAUSTED = 3, 9, 8


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (edit(3, 0, 0, "x"), PRECONDITION, "revision 3 came, 2 was expected"),
        (edit(1, 0, 0, "x"), PRECONDITION, "revision 1 came, 2 was expected"),
        (replace(1, "x"), PRECONDITION, "must be 2 or later"),
        (pb.LiveRequest(commit=pb.LiveCommit(revision=9)), PRECONDITION, "revision 9 came"),
        (edit(2, 0, 9, "x"), INVALID, "splices[0] is [0, 9)"),
        (edit(2, 0, 0, "x" * 20_001), INVALID, "20004 code points, the limit is 20000"),
        (replace(2, "가\n" * 10_000), INVALID, "segments, the limit is 2500"),
        (splices(2, 1025), INVALID, "splices has 1025, the limit is 1024"),
    ],
)
def test_a_refused_revision_leaves_the_document_until_a_replace(
    message: pb.LiveRequest, code: int, words: str
) -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, "가나다"))
    session.receive(message)
    ((revision, got, why),) = rejections(session)
    assert (got, words in why) == (code, True), why
    assert session.text == "가나다"
    session.receive(edit(revision + 1, 0, 0, "x"))
    ((_, got, why),) = rejections(session)
    assert (got, "follows one that was refused" in why) == (PRECONDITION, True)
    session.receive(replace(20, "라"))
    session.receive(edit(21, 1, 1, "마"))
    assert rejections(session) == []
    assert (session.text, session.revision) == ("라마", 21)


def test_an_offset_in_a_surrogate_pair() -> None:
    session = opened(pb.LiveConfig(offset_unit=pb.OFFSET_UNIT_UTF16))
    session.receive(replace(1, "😀"))
    session.receive(edit(2, 1, 2, ""))
    ((_, code, why),) = rejections(session)
    assert (code, "offset 1, inside a surrogate pair" in why) == (INVALID, True)


def test_too_many_refusals_end_the_session() -> None:
    session = opened(pb.LiveConfig())
    with pytest.raises(StateChanged, match="64 revisions in a row were refused"):
        for _ in range(65):
            session.receive(edit(7, 0, 0, ""))


def test_all_sessions_share_a_budget() -> None:
    budget = LiveBudget(100)
    one, two = opened(pb.LiveConfig(), budget), opened(pb.LiveConfig(), budget)
    one.receive(replace(1, "가" * 60))
    assert budget.used == 60 + 32
    two.receive(replace(1, "가" * 60))
    ((_, code, why),) = rejections(two)
    assert (code, "have 92 code points, and 60 more exceed the limit of 100" in why) == (EXHAUSTED, True)
    one.close()
    two.receive(replace(2, "가" * 60))
    assert rejections(two) == []
    two.close()
    assert budget.used == 0


@pytest.mark.parametrize("message", [pb.LiveRequest(), pb.LiveRequest(config=pb.LiveConfig())])
def test_what_breaks_the_protocol_is_raised(message: pb.LiveRequest) -> None:
    with pytest.raises(BadOption):
        opened(pb.LiveConfig()).receive(message)


def test_pongs_that_nobody_reads() -> None:
    session = opened(pb.LiveConfig())
    ping = pb.LiveRequest(ping=pb.LivePing(nonce=7))
    session.receive(ping)
    assert [event.pong.nonce for event in session.take() if event.HasField("pong")] == [7]
    with pytest.raises(LimitReached, match="64 pongs"):
        for _ in range(65):
            session.receive(ping)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (pb.LiveConfig(offset_unit=5), "offset_unit is 5"),  # type: ignore[arg-type]
        (pb.LiveConfig(segmentation=5), "segmentation is 5"),  # type: ignore[arg-type]
        (pb.LiveConfig(options=pb.ConvertOptions(min_score=2)), "options.min_score"),
        (pb.LiveConfig(resume=pb.LiveResume()), "resume_token is ''"),
    ],
)
def test_bad_configurations(config: pb.LiveConfig, words: str) -> None:
    with pytest.raises(BadOption, match=words):
        opened(config)


@pytest.mark.parametrize(
    ("finals", "words"),
    [
        ([(1, 0, 9)], r"finals\[0\] is \[0, 9\)"),
        ([(1, 2, 2)], r"is \[2, 2\)"),
        ([(1, 0, 2), (2, 1, 3)], r"finals\[1\] is \[1, 3\)"),
        ([(5, 0, 2)], "has the id 5: ids must differ and be below 5"),
        ([(1, 0, 2), (1, 2, 3)], "has the id 1"),
        ([(0, 0, 2)], "has the id 0"),
        ([(1, 0, 1)], r"is \[0, 1\)"),
    ],
)
def test_bad_finals_of_a_resumed_session(finals: list[tuple[int, int, int]], words: str) -> None:
    known = [pb.FinalSegment(segment_id=number, start=start, end=end) for number, start, end in finals]
    resume = pb.LiveResume(resume_token="t", revision=3, text="😀가", finals=known, next_segment_id=5)
    with pytest.raises(BadOption, match=words):
        opened(pb.LiveConfig(resume=resume, offset_unit=pb.OFFSET_UNIT_UTF16))


# ---- what is told


def results(session: LiveSession) -> list[tuple[int, int, str, bool]]:
    found = [event.result for event in session.take() if event.HasField("result")]
    return [(r.segment_id, r.revision, r.text, r.is_final) for r in found]


def turn(session: LiveSession) -> None:
    given = session.next_turn()
    assert given is not None
    session.finish(given, outcomes(given))


def test_the_newest_edit_goes_first() -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, "가나다라마. " * 2_000 + "끝"))
    first = session.next_turn()
    assert first is not None and first.code_points < 1_200
    assert session.next_turn() is None, "one turn at a time"
    session.receive(edit(2, 14_001, 14_001, "수도"))
    session.finish(first, outcomes(first))
    second = session.next_turn()
    assert second is not None
    assert second.items[0].text.endswith("끝수도")
    session.finish(second, outcomes(second))
    session.take()


def test_an_old_result_is_better_than_none_while_somebody_types() -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, "가"))
    given = session.next_turn()
    assert given is not None
    session.receive(edit(2, 1, 1, "나"))
    session.finish(given, outcomes(given))
    assert results(session) == [(1, 1, "<|가>", False)]
    turn(session)
    assert results(session) == [(1, 2, "<|가나>", False)]


def test_a_slow_reader_gets_the_newest_interim_and_every_final() -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, ""))
    size = 0
    for number, text in enumerate(["가", "나", ". ", "다", "라"], start=2):
        session.receive(edit(number, size, size, text))
        size += len(text)
        turn(session)
    events = session.take()
    assert [event.WhichOneof("event") for event in events[1:3]] == ["segments_changed", "result"]
    assert [(e.result.text, e.result.is_final) for e in events if e.HasField("result")] == [
        ("<|가나. >", True), ("<가나. |다라>", False),
    ]  # fmt: skip
    assert [(e.done.first_revision, e.done.revision) for e in events if e.HasField("done")] == [(1, 6)]


def test_a_done_that_comes_late_leaves_the_list_at_its_revision() -> None:
    session, view = opened(pb.LiveConfig()), LiveView()
    session.receive(replace(1, "가"))
    turn(session)
    session.receive(edit(2, 1, 1, ". 나"))
    for event in session.take():
        view.apply(event)
    assert [length for _, length in view._list] == [3, 1]
    assert (view.done, view.revision) == (1, 2)


def test_a_final_result_is_where_the_whole_edit_has_put_it() -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, "가\n나\n"))
    turn(session)
    session.take()
    places = [pb.Splice(text="다라"), pb.Splice(start=4, end=4, text="마")]
    session.receive(pb.LiveRequest(edit=pb.LiveEdit(revision=2, splices=places)))
    (result,) = [event.result for event in session.take() if event.HasField("result")]
    assert (result.text, result.is_final, result.revision) == ("<|나\n>", True, 2)
    assert (result.start, result.end) == (4, 6)


def test_a_fault_is_told_with_the_source_text() -> None:
    session = opened(pb.LiveConfig())
    session.receive(replace(1, "가"))
    given = session.next_turn()
    assert given is not None
    session.finish(given, [RuntimeFault("the runner failed on this text")])
    (result,) = [event.result for event in session.take() if event.HasField("result")]
    assert (result.text, result.error.code) == ("가", 13)
    session.receive(edit(2, 1, 1, "나"))
    turn(session)
    assert results(session) == [(1, 2, "<|가나>", False)]


def test_utf16_offsets_of_segments_and_spans() -> None:
    session = opened(pb.LiveConfig(offset_unit=pb.OFFSET_UNIT_UTF16))
    session.receive(replace(1, "😀. 나😀"))
    turn(session)
    found = [event.result for event in session.take() if event.HasField("result")]
    assert [(r.start, r.end, r.spans[0].start, r.spans[0].end) for r in found] == [(0, 4, 0, 4), (4, 7, 0, 3)]
