"""Turns, as a lane of entries shows them."""

from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.entry import Entry
from hanjaserve.server.lane import Lane
from hanjaserve.server.turns import FEW


class Line:
    """A lane that serves one entry at a time."""

    def __init__(self) -> None:
        self.lane = Lane()
        self.tickets = 0
        self.running: Entry | None = None

    def put(self, flow: str, *lengths: int) -> None:
        for length in lengths:
            self.tickets += 1
            entry = Entry(tokens=length, enqueued_at=0.0, flow=flow)
            entry.length, entry.ticket = length, self.tickets
            self.lane.append(entry)

    def serve(self) -> Entry | None:
        turns, entry = self.lane.turns, self.lane.oldest()
        if self.running:
            turns.finish(self.running.turn)
        if entry:
            turns.begin(entry.turn)
            self.lane.take(entry.length, 1, before=entry.ticket + 1)
        self.running = entry
        return entry

    def flows(self, count: int) -> str:
        return "".join(str(entry.flow) for _ in range(count) if (entry := self.serve()))


def test_one_flow_is_a_fifo() -> None:
    line = Line()
    line.put("a", 64, 8, 32, 8)
    assert [entry.length for _ in range(4) if (entry := line.serve())] == [64, 8, 32, 8]


def test_who_comes_beside_a_flood_is_next_however_long_it_is() -> None:
    line = Line()
    line.put("f", *[512] * 1000)
    assert line.flows(3) == "fff"
    line.put("a", 32)
    assert line.flows(2) == "af"
    line.put("a", 32)
    assert line.flows(2) == "af"


def test_flows_share_tokens_not_entries() -> None:
    line = Line()
    line.put("l", *[64] * 10)
    line.put("s", *[8] * 80)
    served = line.flows(45)
    assert abs(64 * served.count("l") - 8 * served.count("s")) <= 64


def test_who_was_idle_has_saved_nothing_up() -> None:
    line = Line()
    line.put("a", *[8] * 100)
    line.flows(50)
    line.put("b", *[8] * 50)
    served = line.flows(40)
    assert abs(served.count("a") - served.count("b")) <= 1


def test_who_has_run_ahead_waits_for_the_others() -> None:
    """As a companion it ran before its turn; that is charged while it waits for more."""
    line = Line()
    line.put("a", 16, *[8] * 10)
    line.put("b", *[16] * 10)
    assert [entry.flow for entry in line.lane.take(8, 10, before=99)] == ["a"] * 10
    line.put("a", 16)
    assert line.flows(7) == "abbbbbb"


def test_a_flow_with_one_entry_at_a_time_does_not_go_before_a_flood_for_ever() -> None:
    line, served = Line(), ""
    line.put("f", *[8] * 100)
    line.put("a", 8)
    for _ in range(40):
        served += line.flows(1)
        if served.endswith("a"):
            line.put("a", 8)
    assert abs(served.count("a") - served.count("f")) <= 2


def test_flows_that_are_owed_nothing_are_forgotten() -> None:
    line = Line()
    line.put("f", *[8] * 3000)
    for number in range(1000):
        line.put(str(number), 8)
        line.flows(2)
    assert len(line.lane.turns._accounts) <= FEW + 4
    line.flows(9999)
    assert len(line.lane.turns._accounts) == 0


def test_turn_of_what_was_given_in_advance_and_taken_back_is_not_over() -> None:
    line = Line()
    line.put("f", *[8] * 9)
    line.serve()
    turns, ahead = line.lane.turns, line.lane.take(8, 1, before=99)
    turns.begin(ahead[0].turn)
    line.put("a", 8)
    line.lane.restore(ahead)
    turns.take_back(ahead[0].turn)
    assert line.flows(2) == "af"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([8, 16, 64])), min_size=1, max_size=60))
def test_no_flow_gets_more_than_another_that_waits(puts: list[tuple[str, int]]) -> None:
    """The theorem: of two flows that wait all the time, none gets more by over one entry of each."""
    line = Line()
    for flow, length in puts:
        line.put(flow, length)
    waiting = {flow: sum(n for f, n in puts if f == flow) for flow, _ in puts}
    got = dict.fromkeys(waiting, 0)
    while entry := line.serve():
        flow = str(entry.flow)
        got[flow] += entry.length
        busy = [got[other] for other in got if got[other] < waiting[other]]
        assert not busy or max(busy) - min(busy) <= 64 + 64


@given(st.lists(st.integers(1, 64), min_size=1, max_size=9), st.integers(1, 5), st.integers(1, 64))
def test_tokens_before_is_no_less_than_what_goes_before(lengths: list[int], flows: int, own: int) -> None:
    line = Line()
    for flow in range(flows):
        line.put(str(flow), *lengths)
    line.serve()
    lane = line.lane
    expected = lane.turns.tokens_before("new", own, 64)
    line.put("new", own)
    before = 0
    while (entry := line.serve()) and entry.flow != "new":
        before += entry.length
    assert before <= expected
    assert lane.turns.tokens_before("new", own, 64) >= 0
