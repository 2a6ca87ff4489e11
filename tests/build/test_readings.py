from __future__ import annotations

from pathlib import Path

import pytest

from hanjaserve.build.engine_graph import word_candidates
from hanjaserve.build.readings import ReadingTable, initial_sound_variants
from hanjaserve.server.errors import BuildError


@pytest.fixture(scope="module")
def table() -> ReadingTable:
    pytest.importorskip("hanja")
    return ReadingTable.from_package()


@pytest.mark.parametrize(
    ("syllable", "variants"),
    [("녀", "녀여"), ("률", "률율"), ("로", "로노"), ("리", "리이"), ("나", "나"), ("수", "수")],
)
def test_initial_sound_rule(syllable: str, variants: str) -> None:
    assert initial_sound_variants(syllable) == set(variants)


@pytest.mark.parametrize(
    ("label", "surface", "allowed"),
    [
        ("首都", "수도", True),
        ("水道", "수도", True),
        ("機械", "전산", False),
        ("女性", "여성", True),
        ("男女", "남녀", True),
        ("金氏", "김씨", True),
        ("金氏", "금씨", True),
        ("定하", "정하", True),
        ("定하", "정한", False),
        ("貪ㅎ", "탐ㅎ", True),
        ("首都", "수", False),
        ("[UNK]", "수도", False),
    ],
)
def test_allows(table: ReadingTable, label: str, surface: str, allowed: bool) -> None:
    assert table.allows(label, surface) is allowed


def test_candidates_are_what_allows_says(table: ReadingTable) -> None:
    labels = ("[UNK]", "首都", "水道", "金", "禁", "六月", "定하", "不定", "女")
    surfaces = ["수도", "금", "김", "유월", "정하", "부정", "여", "녀", "강", ""]
    rows = word_candidates(surfaces, labels, table).tolist()
    for surface, row in zip(surfaces, rows, strict=True):
        expected = [n for n, label in enumerate(labels) if n and table.allows(label, surface)]
        assert row == [0, *expected] + [0] * (len(row) - 1 - len(expected))


def test_saved_and_loaded(table: ReadingTable, tmp_path: Path) -> None:
    table.save(tmp_path / "readings.tsv", "金女首")
    loaded = ReadingTable.load(tmp_path / "readings.tsv")
    assert loaded.of == {char: table.of[char] for char in "金女首"}


@pytest.mark.parametrize("line", ["수 水", "수도\t首都", "\t水"])
def test_malformed_line_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "r.tsv").write_text(f"가\t加\n{line}\n", encoding="utf-8")
    with pytest.raises(BuildError, match="line 2"):
        ReadingTable.load(tmp_path / "r.tsv")
