"""The window alone: order, bounds, groups, and what a restart sends again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.client import Conversion, ConvertOptions, Internal, ItemError, Limits
from hanjaserve.client.window import GROUP_ITEMS, StreamWindow
from hanjaserve.v1 import hanjaserve_pb2 as pb


def limits(**changes: int) -> Limits:
    values = {
        "max_text_code_points": 1000,
        "max_batch_items": 1000,
        "max_message_bytes": 1 << 20,
        "max_stream_in_flight": 1000,
    }
    return Limits(**(values | changes))


def echo(request: pb.StreamConvertRequest) -> pb.StreamConvertResponse:
    results = [
        pb.StreamResult(id=item.id, conversion=pb.Conversion(text=item.text)) for item in request.items.items
    ]
    return pb.StreamConvertResponse(results=results)


def texts(request: pb.StreamConvertRequest) -> list[str]:
    return [item.text for item in request.items.items]


def test_groups_are_bounded_by_items_and_bytes() -> None:
    window = StreamWindow(limits(max_batch_items=3), ConvertOptions())
    for text in "abcd":
        window.add(text)
    assert texts(window.next_group(0)) == ["a", "b", "c"]
    assert texts(window.next_group(0)) == ["d"]
    window = StreamWindow(limits(max_message_bytes=3000), ConvertOptions())
    for _ in range(3):
        window.add("가" * 200)
    assert [len(texts(window.next_group(0))) for _ in range(3)] == [1, 1, 1]
    window = StreamWindow(limits(), ConvertOptions())
    for _ in range(GROUP_ITEMS + 1):
        window.add("")
    assert len(texts(window.next_group(0))) == GROUP_ITEMS


def test_room_is_what_the_server_allows_in_flight() -> None:
    window = StreamWindow(limits(max_stream_in_flight=2), ConvertOptions())
    window.add("a")
    window.add("b")
    assert window.room == 0
    window.answer(echo(window.next_group(0)), 0)
    assert window.room == 2


def test_a_restart_sends_the_unanswered_again_in_order() -> None:
    window = StreamWindow(limits(max_batch_items=2), ConvertOptions())
    for text in "abcde":
        window.add(text)
    first = echo(window.next_group(0))
    window.next_group(0)
    del first.results[1:]
    window.answer(first, 0)
    window.restart()
    assert texts(window.next_group(0)) == ["b", "c"]
    assert texts(window.next_group(0)) == ["d", "e"]


def test_answers_out_of_order_are_a_fault_of_the_server() -> None:
    window = StreamWindow(limits(), ConvertOptions())
    window.add("a")
    window.add("b")
    window.next_group(0)
    wrong = pb.StreamConvertResponse(results=[pb.StreamResult(id=1)])
    with pytest.raises(Internal, match="answered item 1 of a stream, not 0"):
        window.answer(wrong, 0)


def test_silence_counts_only_while_an_answer_is_owed() -> None:
    window = StreamWindow(limits(), ConvertOptions())
    assert window.waiting_s(100) == 0
    window.add("a")
    group = window.next_group(100)
    window.add("b")
    later = window.next_group(103)
    assert window.waiting_s(105) == 5
    window.answer(echo(group), 106)
    assert window.waiting_s(107) == 1
    window.answer(echo(later), 108)
    assert window.waiting_s(1000) == 0


def test_a_text_that_cannot_be_sent_spoils_only_itself() -> None:
    window = StreamWindow(limits(max_message_bytes=2000), ConvertOptions())
    for text in ("a", "\ud800", "가" * 1000, "b"):
        window.add(text)
    request = window.next_group(0)
    assert texts(request) == ["a", "", "", "b"]
    first, surrogate, long, last = window.answer(echo(request), 0)
    assert first == Conversion(text="a")
    assert isinstance(surrogate, ItemError) and "lone surrogate U+D800" in surrogate.message
    assert isinstance(long, ItemError) and "3,000 bytes" in long.message
    assert last == Conversion(text="b")


@given(
    count=st.integers(0, 60),
    in_flight=st.integers(1, 20),
    items=st.integers(1, 9),
    steps=st.lists(st.sampled_from(["add", "send", "answer", "half", "break"]), max_size=200),
)
def test_every_text_is_answered_once_and_in_order(
    count: int, in_flight: int, items: int, steps: list[str]
) -> None:
    window = StreamWindow(limits(max_stream_in_flight=in_flight, max_batch_items=items), ConvertOptions())
    source = iter(map(str, range(count)))
    wire: list[pb.StreamConvertResponse] = []
    got: list[str] = []

    def step(kind: str) -> None:
        assert 0 <= window.unanswered <= in_flight
        if kind == "add" and window.room:
            text = next(source, None)
            if text is not None:
                window.add(text)
        elif kind == "send" and window.has_unsent:
            wire.append(echo(window.next_group(0)))
        elif kind in ("answer", "half") and wire:
            response = wire.pop(0)
            if kind == "half":
                rest = pb.StreamConvertResponse(results=response.results[1:])
                del response.results[1:]
                wire.insert(0, rest)
            answered = window.answer(response, 0)
            got.extend(r.text for r in answered if isinstance(r, Conversion))
        elif kind == "break":
            wire.clear()
            window.restart()

    for kind in steps:
        step(kind)
    for _ in range(2 * count + 2):
        for kind in ("add", "send", "answer"):
            step(kind)
    while wire or window.unanswered:
        for kind in ("send", "answer"):
            step(kind)
    assert got == [str(n) for n in range(count)][: len(got)]
    assert len(got) == count
