from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.entry import Entry
from hanjaserve.server.lane import FEW, Lane


def entries(lengths: list[int], flows: str = "") -> list[Entry]:
    made = []
    for ticket, length in enumerate(lengths, start=1):
        entry = Entry(tokens=length, enqueued_at=0.0, flow=flows[ticket - 1 :][:1])
        entry.ticket, entry.length = ticket, length
        made.append(entry)
    return made


def filled(lengths: list[int], flows: str = "") -> tuple[Lane, list[Entry]]:
    lane, made = Lane(), entries(lengths, flows)
    for entry in made:
        lane.append(entry)
    return lane, made


def drained(lane: Lane) -> list[Entry]:
    """All entries in the order of their turns."""
    taken = []
    while entry := lane.oldest():
        taken += lane.take(entry.length, 1, before=entry.ticket + 1)
    return taken


LENGTHS = st.lists(st.sampled_from([8, 16, 64]), min_size=1, max_size=20)
TAKES = st.lists(st.tuples(st.sampled_from([8, 16, 64]), st.integers(1, 5)), max_size=5)


@given(LENGTHS, st.text("abc", min_size=20, max_size=20), TAKES, st.data())
def test_restored_entries_are_where_they_were(
    lengths: list[int], flows: str, takes: list[tuple[int, int]], data: st.DataObject
) -> None:
    lane, made = filled(lengths, flows)
    gone = data.draw(st.lists(st.sampled_from(made), unique=True), label="cancelled")
    for entry in gone:
        lane.remove(entry)
    taken = [entry for length, count in takes for entry in lane.take(length, count, before=99)]
    left = [entry for entry in made if entry not in gone]
    assert len(lane) == len(left) - len(taken)
    assert set(lane) == set(left) - set(taken)
    lane.restore(taken)
    assert lane.tokens == sum(entry.length for entry in left)
    assert lane.counts() == {e.length: sum(o.length == e.length for o in left) for e in left}
    assert drained(lane) == sorted(left, key=lambda entry: (entry.turn, abs(entry.ticket)))
    assert (len(lane), lane.tokens, lane.counts(), bool(lane)) == (0, 0, {}, False)


def test_oldest_of_those_up_to_a_length() -> None:
    lane, made = filled([64, 16, 8])
    assert (lane.oldest(16), lane.oldest(8), lane.oldest(7)) == (made[1], made[2], None)


def test_take_stops_at_the_window() -> None:
    lane, made = filled([8, 16, 8, 8])
    assert lane.take(8, 5, before=4) == [made[0], made[2]]
    assert lane.take(8, 1, before=4) == []
    assert lane.take(24, 1, before=4) == []


def test_those_removed_from_the_middle_do_not_pile_up() -> None:
    lane, made = filled([8] * 1000)
    for entry in made[1:]:
        lane.remove(entry)
    assert len(lane._queues[8]) <= FEW + 3
    assert drained(lane) == [made[0]]


def test_empty_lane() -> None:
    lane, made = filled([8])
    lane.remove(made[0])
    assert not lane
    assert (lane.oldest(), lane.tokens, list(lane)) == (None, 0, [])
