import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanjaserve.server.errors import BadOption, LimitReached, NotFound, StateChanged
from hanjaserve.server.glossaries import Glossaries, GlossaryLimits
from hanjaserve.server.glossary import Glossary, GlossaryEntry
from hanjaserve.server.readings import ReadingTable

READINGS = ReadingTable(hanja={"김": "金", "영": "英", "희": "姬", "이": "李"})


def entry(hangul: str, hanja: str = "", **rest: bool) -> GlossaryEntry:
    return GlossaryEntry(hangul=hangul, hanja=hanja, keep=not hanja, **rest)


def found(glossary: Glossary, text: str, start: int = 0, stop: int | None = None) -> list[tuple[int, str]]:
    return [(match.start, text[match.start : match.end]) for match in glossary.find(text, start, stop)]


def test_leftmost_then_longest() -> None:
    glossary = Glossary([entry("가나"), entry("나다라"), entry("가나다"), entry("다")])
    words = [(0, "가나다"), (5, "나다라"), (9, "가나"), (12, "다")]
    assert found(glossary, "가나다라 나다라 가나 다") == words
    assert found(glossary, "가나다", 1) == [(2, "다")]
    assert found(glossary, "가나다", 0, 1) == [(0, "가나다")]
    assert found(Glossary([]), "가나다") == []


@settings(deadline=None)
@given(st.sets(st.text("가나.]", min_size=1, max_size=4), max_size=6), st.text("가나다.]^-", max_size=30))
def test_find_is_what_a_slow_search_finds(words: set[str], text: str) -> None:
    slow, at = [], 0
    while at < len(text):
        best = max((word for word in words if text.startswith(word, at)), key=len, default="")
        if best:
            slow.append((at, best))
        at += max(1, len(best))
    assert found(Glossary(map(entry, sorted(words))), text) == slow


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (entry(""), r"\[1\]\.hangul has 0 code points: use 1 to 16"),
        (entry("가" * 17), "has 17 code points"),
        (entry("김 씨"), "leave out white space"),
        (entry("김\x00"), "control characters"),
        (entry("김영", "金"), "has 1 code points, hangul has 2"),
        (entry("김영", "金X"), "'X', which is no Hanja"),
        (entry("김a", "金美"), "'a' to '美': only Hangul syllables"),
        (entry("김a", "김a"), "set keep instead"),
        (entry("김영", "李英"), "has 李, not known to be read 김: set allow_any_reading"),
        (entry("김영희", "金英姬"), "like entry 0: give a word once"),
        (GlossaryEntry(hangul="김", hanja="金", keep=True), "keep is set"),
    ],
)
def test_refused_entries(wrong: GlossaryEntry, message: str) -> None:
    with pytest.raises(BadOption, match=message) as caught:
        Glossary([entry("김영희", "金英姬"), wrong], READINGS)
    assert caught.value.field.startswith("glossary.entries[1].")


def test_a_mismatch_is_allowed_on_request_or_without_a_table() -> None:
    assert len(Glossary([entry("김영", "李英", allow_any_reading=True)], READINGS)) == 1
    assert len(Glossary([entry("김영", "李英")])) == 1


def test_version_is_that_of_the_entries() -> None:
    one, two = entry("김", "金"), entry("이", "李")
    assert Glossary([one, two]).version == Glossary([two, one]).version
    assert Glossary([one]).version != Glossary([entry("김")]).version != Glossary([two]).version


def test_store() -> None:
    store = Glossaries(GlossaryLimits(inline_entries=1, entries=2, glossaries=2), READINGS)
    old, new = store.check([entry("김", "金")]), store.check([entry("이", "李")])
    store.put("names", old)
    assert store.get("names") is store.get("names", old.version) is old
    store.put("names", new, old.version)
    with pytest.raises(StateChanged, match=f"has version {new.version}, not '{old.version}'"):
        store.get("names", old.version)
    with pytest.raises(StateChanged):
        store.put("names", old, old.version)
    with pytest.raises(StateChanged, match="no glossary 'more'"):
        store.put("more", old, old.version)
    store.put("more", old)
    with pytest.raises(LimitReached, match="2 glossaries are stored, and the limit is 2"):
        store.put("most", old)
    assert store.names() == ["more", "names"]
    with pytest.raises(StateChanged):
        store.delete("more", new.version)
    store.delete("more", old.version)
    with pytest.raises(NotFound, match="no glossary 'more'"):
        store.get("more")
    with pytest.raises(BadOption, match="id is 'a b'"):
        store.put("a b", old)


def test_limits() -> None:
    store = Glossaries(GlossaryLimits(inline_entries=1, entries=2, glossaries=1))
    two = [entry("김", "金"), entry("이", "李")]
    assert len(store.check(two)) == 2
    with pytest.raises(BadOption, match="has 2 entries, the limit is 1: PutGlossary"):
        store.inline(two)
    with pytest.raises(BadOption, match="has 3 entries, the limit is 2"):
        store.check([*two, entry("박", "朴")])
