"""The document against a plain string, and its segments against those of the whole text cut at once."""

import random
import time
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanjaserve.server.errors import BadOption, TextTooLong
from hanjaserve.server.live.changes import Change, Splice
from hanjaserve.server.live.cutting import LONGEST, Segmentation, cut_long, ends_in
from hanjaserve.server.live.document import CONTEXT, Document
from hanjaserve.server.live.offsets import OffsetUnit, code_points_in, length_in, units_of
from hanjaserve.server.live.segments import BLOCK, End, Segment, Segments

PARTS = st.sampled_from(
    ["", "가", "수도", " ", ".", "\n", "다. ", "!”", "。", "😀", "ㅅ", "가" * 300, " \n 나", "3.1"]
)
TEXTS = st.lists(PARTS, max_size=6).map("".join)
# Where (in parts of the text), how much, what; or a commit.
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), TEXTS) | st.none(), max_size=14)


def document(
    segmentation: Segmentation = Segmentation.SENTENCE, unit: OffsetUnit = OffsetUnit.CODE_POINT
) -> Document:
    return Document(segmentation, unit, max_code_points=10_000, max_segments=5_000)


def texts(found: Document) -> list[str]:
    return [segment.text for segment in found.segments]


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def replay(known: list[Segment], changes: Iterable[Change]) -> list[Change]:
    made = []
    for change in changes:
        made.append(change)
        assert set(change.rewritten) <= set(change.added)
        gone = set(known[change.index : change.index + change.removed]) - set(change.added)
        assert gone == set(change.gone)
        known[change.index : change.index + change.removed] = change.added
    return made


@settings(deadline=None)
@given(EDITS, st.sampled_from(Segmentation), st.sampled_from(OffsetUnit))
@example([(0.0, 0, "가. 나"), (0.75, 0, " "), None, (1.0, 0, "다")], Segmentation.SENTENCE, OffsetUnit.UTF16)
def test_edits(
    edits: list[tuple[float, int, str] | None], segmentation: Segmentation, unit: OffsetUnit
) -> None:
    found, text, committed = document(segmentation, unit), "", False
    known: list[Segment] = []
    for edit in edits:
        if edit is None:
            committed |= bool(text)
            replay(known, found.commit())
            assert not text or found.segments[len(found.segments) - 1].end is End.COMMIT
        else:
            where, size, new = edit
            start = round(where * len(text))
            end = min(start + size, len(text))
            places = [length_in(text[:start], unit), length_in(text[:end], unit)]
            before = [(segment.number, segment.text) for segment in known]
            replay(known, found.edit([Splice(start=places[0], end=places[1], text=new)]))
            text = text[:start] + new + text[end:]
            # What is not near the edit is left alone.
            assert sum((s.number, s.text) in before for s in known) >= len(before) - 4 - size
        assert known == list(found.segments)
        check(found, text, unit)
        if not committed and all(len(s) <= LONGEST for s in pieces(text, segmentation)):
            assert texts(found) == pieces(text, segmentation)


def pieces(text: str, segmentation: Segmentation) -> list[str]:
    ends = [0, *ends_in(text, segmentation), len(text)]
    return [text[start:end] for start, end in pairwise(ends) if end > start]


def check(found: Document, text: str, unit: OffsetUnit) -> None:
    assert found.text == text
    assert (found.segments.code_points, found.segments.units) == (len(text), length_in(text, unit))
    assert len(found.segments) == len(list(found.segments))
    at = units = 0
    for index, segment in enumerate(found.segments):
        assert 0 < len(segment.text) <= LONGEST
        assert found.segments.place_of(segment) == (index, units)
        assert found.segments.code_points_before(segment) == at
        assert found.segments[index] is segment
        assert found.segments.locate(units) == (index, units)
        assert found.context_of(index) == text[max(0, at - CONTEXT) : at].rpartition("\n")[2]
        is_last = index == len(found.segments) - 1
        assert segment.is_closed or is_last
        at += len(segment.text)
        units += segment.units


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_replace_keeps_what_is_the_same(old: str, new: str) -> None:
    found = document()
    known: list[Segment] = []
    replay(known, found.replace(old))
    numbers = {segment.number: segment.text for segment in known}
    changes = replay(known, found.replace(new))
    check(found, new, OffsetUnit.CODE_POINT)
    if old == new:
        assert changes == []
        assert {segment.number: segment.text for segment in known} == numbers


def test_several_splices_count_in_the_same_document() -> None:
    found = document()
    list(found.replace("가나다라마"))
    splices = [(0, 1, "123"), (2, 2, "-"), (4, 5, "")]
    list(found.edit([Splice(start=start, end=end, text=text) for start, end, text in splices]))
    assert found.text == "123나-다라"


@pytest.mark.parametrize(
    ("splices", "message"),
    [
        ([(0, 4, "")], r"splices\[0\] is \[0, 4\): .* end at 3 or earlier"),
        ([(2, 1, "")], r"is \[2, 1\)"),
        ([(0, 3, ""), (1, 3, "")], r"splices\[1\] is \[1, 3\): it must begin at 3 or later"),
        ([(2, 3, "")], r"splices\[0\] has the offset 2, inside a surrogate pair"),
    ],
)
def test_bad_offsets_change_nothing(splices: list[tuple[int, int, str]], message: str) -> None:
    found = document(unit=OffsetUnit.UTF16)
    list(found.replace("가😀"))
    with pytest.raises(BadOption, match=message):
        found.edit([Splice(start=start, end=end, text=text) for start, end, text in splices])
    assert found.text == "가😀"


def test_limits() -> None:
    found = Document(Segmentation.LINE, OffsetUnit.CODE_POINT, max_code_points=10, max_segments=3)
    list(found.replace("가\n나\n다"))
    cases = [("가" * 6, "11 code points, the limit is 10"), ("\n가", "4 segments, the limit is 3")]
    for text, message in cases:
        with pytest.raises(TextTooLong, match=message):
            found.edit([Splice(start=5, end=5, text=text)])
    with pytest.raises(TextTooLong, match="11 code points"):
        found.replace("가" * 11)
    assert found.text == "가\n나\n다"
    # Segments that are replaced count as well: the limit is on what an edit might leave.
    with pytest.raises(TextTooLong, match="5 segments"):
        found.edit([Splice(start=0, end=5, text="나\n나\n나")])


def test_restore() -> None:
    limits = {"max_code_points": 99, "max_segments": 9}
    found = Document(Segmentation.SENTENCE, OffsetUnit.CODE_POINT, **limits, first_number=7)
    kept = found.restore([("가. 나", None), ("다", 3), ("라. 마", None)])
    assert [(s.number, s.text, s.end) for s in found.segments] == [
        (7, "가. ", End.RULE), (8, "나", End.COMMIT), (3, "다", End.COMMIT),
        (9, "라. ", End.RULE), (10, "마", End.OPEN),
    ]  # fmt: skip
    assert [segment.number for segment in kept] == [3]


@pytest.mark.parametrize(
    ("text", "pieces_"),
    [
        ("하나. 둘", ["하나. ", "둘"]),
        ("하나.” 둘", ["하나.” ", "둘"]),
        ("하나?! 둘", ["하나?! ", "둘"]),
        ("하나。둘", ["하나。", "둘"]),
        ("하나。」둘", ["하나。」", "둘"]),
        ("하나。。둘", ["하나。。", "둘"]),
        ("3.1 나", ["3.1 나"]),
        ("가\r\n\n 나", ["가\r\n\n ", "나"]),
        ("\n가", ["\n", "가"]),
        ("하나. ", ["하나. "]),
    ],
)
def test_sentences(text: str, pieces_: list[str]) -> None:
    assert pieces(text, Segmentation.SENTENCE) == pieces_


def test_long_ones_are_cut_after_white_space() -> None:
    assert list(cut_long(0, LONGEST, "가" * LONGEST)) == []
    assert list(cut_long(0, LONGEST + 1, "가" * (LONGEST + 1))) == [LONGEST]
    assert list(cut_long(0, 600, "가" * 300 + " " + "가" * 299)) == [301]


@settings(deadline=None)
@given(st.text("a가😀\u0301", max_size=20))
def test_offsets(text: str) -> None:
    assert length_in(text, OffsetUnit.UTF16) == utf16(text)
    places = units_of(text, OffsetUnit.UTF16) or list(range(len(text) + 1))
    assert places == [utf16(text[:at]) for at in range(len(text) + 1)]
    for at in range(utf16(text) + 1):
        expected = places.index(at) if at in places else None
        assert code_points_in(text, at, OffsetUnit.UTF16) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), st.integers(0, 220)), max_size=30))
def test_segment_list_is_a_list(splices: list[tuple[int, int, int]]) -> None:
    plain: list[Segment] = []
    found = Segments()
    for number, (first, size, count) in enumerate(splices):
        first = min(first, len(plain))
        last = min(first + size, len(plain))
        added = [Segment(number=number, text="가", units=1, end=End.RULE) for _ in range(count)]
        found.splice(first, last, added)
        plain[first:last] = added
        assert list(found) == plain
        assert (len(found), found.units) == (len(plain), len(plain))
        assert found.slice(first, last) == plain[first:last]
        assert list(found.backwards(first)) == plain[:first][::-1]
        sizes = [len(block.segments) for block in found._blocks]
        assert all(0 < size <= 2 * BLOCK for size in sizes)
        assert len(sizes) <= 2 + 4 * len(plain) // BLOCK + len(splices)


def test_an_edit_costs_the_same_in_a_long_document() -> None:
    """A million code points: an edit in the middle stays far below the time that a scan would take."""
    chance = random.Random(1)
    long = Document(Segmentation.SENTENCE, OffsetUnit.UTF16, max_code_points=2_000_000, max_segments=200_000)
    list(long.replace("대한민국의 수도는 서울이다. 😀 " * 50_000))
    assert long.segments.code_points >= 900_000
    seconds = []
    for _ in range(50):
        at = chance.randrange(10_000) * 38
        started = time.perf_counter()
        (change,) = long.edit([Splice(start=at, end=at, text="가")])
        seconds.append(time.perf_counter() - started)
        assert len(change.rewritten) == 1
        list(long.edit([Splice(start=at, end=at + 1, text="")]))
    scan = time.perf_counter()
    length_in(long.text, OffsetUnit.UTF16)
    assert sorted(seconds)[25] < (time.perf_counter() - scan) / 20
