import pytest

from hanjaserve.build.data import sources, spellings
from hanjaserve.build.data.spellings import adapted, common_spellings, dictionary, modern, weighted


def test_frequency_outweighs_rank_but_not_by_little() -> None:
    lexicon = [("수도", "首都"), ("수도", "修道"), ("수도", "水道")]
    frequent = {"水道": 100.0}
    found = weighted(lexicon, [], lambda hanja: frequent.get(hanja, 1.0))["수도"]
    assert list(found) == ["水道", "首都", "修道"]
    assert found["水道"] == 1.0
    assert found["修道"] < found["首都"] < 0.1


def test_words_of_the_second_list_come_after_those_of_the_first() -> None:
    found = weighted([("의사", "醫師")], [("의사", "意思"), ("의사", "醫師")], lambda _: 1.0)["의사"]
    assert list(found) == ["醫師", "意思"]


def test_the_only_spelling_has_weight_one() -> None:
    assert weighted([("회의", "會議")], [], lambda _: 0.0) == {"회의": {"會議": 1.0}}


def test_common_spellings_fit_their_words() -> None:
    table = common_spellings()
    assert table["기관"] == ("機關", "器官", "氣管")
    for word, found in table.items():
        assert found and len(set(found)) == len(found), word
        assert {len(spelling) for spelling in found} == {len(word)}, word
        assert all(modern(spelling) == spelling for spelling in found), word


def test_modern_forms() -> None:
    assert modern("強力 映畫") == "强力 映畵"


def test_text_in_both_scripts_moves_the_weights_of_its_domain() -> None:
    general = {"원고": {"原稿": 1.0, "原告": 0.3}, "수도": {"首都": 1.0, "水道": 0.2}}
    pairs = [("원고와 피고", "原告와 被告")] * 4
    pairs += [("원고지", "原稿紙"), ("수도", "首都"), ("의원고시", "議員告示")]
    found = adapted(general, pairs)
    assert list(found) == ["원고"]
    assert list(found["원고"]) == ["原告", "原稿"]
    assert found["원고"]["原告"] == 1.0


def test_what_ships_is_hanja_throughout(monkeypatch: pytest.MonkeyPatch) -> None:
    """게시물 spelt 게시物 would hide 揭示 from the longest match."""
    entries = [("게시", "揭示"), ("게시물", "게시物"), ("감자탕", "감자湯")]
    monkeypatch.setattr(sources, "lexicon", lambda: iter(entries))
    monkeypatch.setattr(sources, "rows", lambda name, columns: iter([["게시물", "揭示物"]]))
    monkeypatch.setattr(spellings, "frequency", lambda: lambda hanja: 1.0)
    shipped, labels = dictionary()
    assert shipped["게시"][0] == "揭示"
    assert not {"게시물", "감자탕"} & shipped.keys()
    # Labels know them: the standard dictionary's 揭示物, and what only the lexicon has.
    assert list(labels["게시물"]) == ["揭示物"]
    assert list(labels["감자탕"]) == ["감자湯"]
