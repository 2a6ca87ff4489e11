from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.entry import Entry
from hanjaserve.server.lane import Lane


def entries(lengths: list[int]) -> list[Entry]:
    made = []
    for ticket, length in enumerate(lengths, start=1):
        entry = Entry(tokens=length, enqueued_at=0.0)
        entry.ticket, entry.length = ticket, length
        made.append(entry)
    return made


def filled(lengths: list[int]) -> tuple[Lane, list[Entry]]:
    lane, made = Lane(), entries(lengths)
    for entry in made:
        lane.append(entry)
    return lane, made


LENGTHS = st.lists(st.sampled_from([8, 16, 64]), min_size=1, max_size=20)


@given(LENGTHS, st.data())
def test_restored_entries_are_where_they_were(lengths: list[int], data: st.DataObject) -> None:
    lane, made = filled(lengths)
    gone = data.draw(st.lists(st.sampled_from(made), unique=True))
    for entry in gone:
        lane.remove(entry)
    assert len(lane) == len(made) - len(gone)
    lane.restore(gone)
    assert lane.tokens == sum(lengths)
    assert lane.counts() == {length: lengths.count(length) for length in set(lengths)}
    for length in set(lengths):
        assert lane.first(length, 99, before=99) == [e for e in made if e.length == length]
    assert lane.oldest() is made[0]


def test_oldest_of_those_up_to_a_length() -> None:
    lane, made = filled([64, 16, 8])
    assert (lane.oldest(16), lane.oldest(8), lane.oldest(7)) == (made[1], made[2], None)


def test_first_stops_at_the_window() -> None:
    lane, made = filled([8, 16, 8, 8])
    assert lane.first(8, 5, before=4) == [made[0], made[2]]
    assert lane.first(8, 1, before=4) == [made[0]]
    assert lane.first(24, 1, before=4) == []


def test_empty_lane() -> None:
    lane, made = filled([8])
    lane.remove(made[0])
    assert not lane
    assert (lane.oldest(), lane.tokens, list(lane)) == (None, 0, [])
