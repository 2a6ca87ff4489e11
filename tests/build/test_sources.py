import pytest

from hanjaserve.build.data.sources import strip_annotations
from hanjaserve.server.readings import is_hanja


@pytest.mark.parametrize("char", ["\u3400", "首", "\u9fff", "\uf900", "\ufaff", "\U00020000"])
def test_hanja(char: str) -> None:
    assert is_hanja(char)


@pytest.mark.parametrize("char", ["가", "힣", "ㄱ", "a", "1", "(", "\u33ff", "\ua000", "\uf8ff", "\ufb00"])
def test_what_is_no_hanja(char: str) -> None:
    assert not is_hanja(char)


def test_only_hanja_annotates() -> None:
    text, notes = strip_annotations("할 수 있는지 여부(적극)와 사인(私人)")
    assert text == "할 수 있는지 여부(적극)와 사인"
    assert notes == [(16, "私人")]
