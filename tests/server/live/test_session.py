"""A session, case by case: what is refused, and what the client is told.

What holds whatever is typed is tested by test_state_machine.py.
"""

import pytest

from hanjaserve.client.live_view import LiveView
from hanjaserve.server.errors import BadOption, LimitReached, RuntimeFault, StateChanged
from hanjaserve.server.live.session import LiveSession
from hanjaserve.server.live.settings import LiveBudget
from hanjaserve.v1 import hanjaserve_pb2 as pb

from .sessions import commit, edit, opened, outcomes, replace, splices

# ---- what is refused


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
        (commit(9), PRECONDITION, "revision 9 came"),
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
