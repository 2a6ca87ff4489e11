import numpy as np
import pytest

from hanjaserve.build.data.distant import Labeller, Labels, full_labels
from hanjaserve.build.data.korean import AFFIXES, LOANS, NATIVE
from hanjaserve.build.data.tables import Tables

KEEP = 1
ENTRIES = {
    "수도": ["首都", "水道"], "차별": ["差別"], "확인": ["確認"], "이미": ["異味"], "팔로": ["八路"],
    "실제": ["實際"],
}  # fmt: skip
SLOTS = {
    "수": "首水", "도": "都道", "차": "差", "별": "別", "점": "點", "확": "確", "인": "認", "이": "異",
    "미": "味", "지": "地紙誌", "팔": "八", "로": "路", "실": "實", "제": "際", "대": "對", "관": "關",
    "당": "當", "신": "身", "십": "十", "공": "公", "특": "特", "적": "的",
}  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> Tables:
    slots = {syllable: {h: n for n, h in enumerate(found, 1)} for syllable, found in SLOTS.items()}
    labels = ["", *dict.fromkeys("".join(SLOTS.values()))]
    return Tables(
        labels=labels, slots=slots, spellings=ENTRIES, char_id=np.zeros(0x10000, np.int32), char_vocab_size=1
    )


def label(tables: Tables, text: str, *morphemes: tuple[str, str, int, int]) -> Labels:
    return Labeller(tables, ENTRIES).label(text, morphemes)


def test_an_ambiguous_noun_is_a_word_and_a_particle_is_kept(tables: Tables) -> None:
    found = label(tables, "수도는", ("수도", "NNG", 0, 2), ("는", "JX", 2, 1))
    assert found.masks.tolist() == [0, 0, KEEP]
    assert found.words == [(0, "수도")]


def test_a_noun_of_one_spelling_is_a_full_label(tables: Tables) -> None:
    found = label(tables, "확인하다", ("확인", "NNG", 0, 2), ("하", "XSV", 2, 1), ("다", "EF", 3, 1))
    assert found.masks.tolist() == [0b10, 0b10, KEEP, KEEP]


@pytest.mark.parametrize(
    ("word", "masks"), [("차별점", [0b10] * 3), ("이미지", [KEEP] * 3), ("팔로우", [KEEP] * 3)]
)
def test_a_compound_is_spelt_by_its_parts_and_a_loan_word_is_kept(
    tables: Tables, word: str, masks: list[int]
) -> None:
    assert label(tables, word, (word, "NNG", 0, 3)).masks.tolist() == masks


def test_a_stem_before_hada_is_converted_where_the_verb_is_contracted(tables: Tables) -> None:
    # 관한 is 관하 + ㄴ: the analyser gives overlapping morphemes.
    found = label(tables, "대관한", ("대", "XPN", 0, 1), ("관하", "VV", 1, 2), ("ᆫ", "ETM", 2, 1))
    assert found.masks.tolist()[1:] == [0b10, KEEP]


@pytest.mark.parametrize(
    ("text", "morpheme", "masks"),
    [
        ("당신", ("당신", "NP", 0, 2), [0b10, 0b10]),
        ("우리", ("우리", "NP", 0, 2), [KEEP, KEEP]),
        ("특히", ("특히", "MAG", 0, 2), [0b10, KEEP]),
        ("실제로", ("실제로", "MAG", 0, 3), [0b10, 0b10, KEEP]),
        ("가다", ("가", "VV", 0, 1), [KEEP, 0]),
        ("적", ("적", "XSN", 0, 1), [0b10]),
        ("지", ("지", "XSN", 0, 1), [0b1110]),
        ("텀", ("텀", "NNG", 0, 1), [0]),
    ],
)
def test_what_tables_and_tags_decide(
    tables: Tables, text: str, morpheme: tuple[str, str, int, int], masks: list[int]
) -> None:
    assert label(tables, text, morpheme).masks.tolist() == masks


def test_both_scripts_give_every_label(tables: Tables) -> None:
    assert full_labels("수도는", "水道는", tables).masks.tolist() == [0b100, 0b100, KEEP]


def test_a_hanja_without_a_slot_is_not_known(tables: Tables) -> None:
    assert full_labels("수", "壽", tables).masks.tolist() == [0]


def test_the_tables_of_korean_do_not_contradict_each_other() -> None:
    assert not NATIVE & LOANS
    assert all(len(syllable) == 1 for syllable, _ in AFFIXES)


def test_a_syllable_before_jeok_is_spelt_by_its_table(tables: Tables) -> None:
    found = label(tables, "공적", ("공", "NNG", 0, 1), ("적", "XSN", 1, 1))
    assert found.masks.tolist() == [0b10, 0b10]
    assert label(tables, "공을", ("공", "NNG", 0, 1), ("을", "JKO", 1, 1)).masks.tolist() == [0, KEEP]


def test_a_numeral_is_converted_unless_it_is_native(tables: Tables) -> None:
    assert label(tables, "십십", ("십십", "NR", 0, 2)).masks.tolist() == [0b10, 0b10]
    assert label(tables, "열", ("열", "NR", 0, 1)).masks.tolist() == [0]


def test_adverbs_are_not_cut_into_pieces_and_some_have_spellings_of_their_own(tables: Tables) -> None:
    assert label(tables, "차별점", ("차별점", "MAG", 0, 3)).masks.tolist() == [KEEP] * 3
    assert label(tables, "실로", ("실로", "MAG", 0, 2)).masks.tolist() == [0b10, KEEP]
    assert label(tables, "이대로", ("이대로", "MAG", 0, 3)).masks.tolist() == [KEEP] * 3
