from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanjaserve.server.bundle import Bundle, write_manifest
from hanjaserve.server.errors import BundleError
from hanjaserve.server.readings import ReadingTable, at_start, is_hanja, read_so
from hanjaserve.server.words import Words

WORDS = Words(
    words=frozenset({"大韓民國", "民國", "首都", "民主", "共和國", "民主共和國", "主共", "音樂"}),
    exceptions={"娛樂": "오락"},
    usual=dict(zip("女性新樂娛率比金法", "녀성신악오률비금법", strict=True)),
)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("大韓民國民主共和國", ["大韓民國", "民主共和國"]),
        ("大韓民國首都", ["大韓民國", "首都"]),
        ("首都", ["首都"]),
        ("首", ["首"]),
        ("金英姬", ["金英姬"]),
        ("民主金英姬首都", ["民主", "金英姬", "首都"]),
        ("首都圈", ["首都", "圈"]),
        ("", [""]),
    ],
)
def test_split(run: str, words: list[str]) -> None:
    found, start = [], 0
    for length in WORDS.split(run):
        found.append(run[start : start + length])
        start += length
    assert found == words


def test_without_a_dictionary_a_run_is_one_word() -> None:
    assert Words().split("大韓民國首都") == [6]


@settings(deadline=None)
@given(st.text(alphabet="大韓民國首都主共和", max_size=12))
def test_split_is_the_best_of_all(run: str) -> None:
    lengths = WORDS.split(run)
    assert sum(lengths) == len(run)

    def cost(start: int) -> tuple[int, int]:
        if start == len(run):
            return (0, 0)
        costs = []
        for length in range(1, min(6, len(run) - start) + 1):
            if length == 1 or run[start : start + length] in WORDS.words:
                words, loose = cost(start + length)
                costs.append((words + 1, loose + (length == 1)))
        return min(costs)

    found, start = [0, 0], 0
    for length in lengths:
        known = length > 1 and run[start : start + length] in WORDS.words
        found[0] += 1 if known else length
        found[1] += 0 if known else length
        start += length
    assert tuple(found) == cost(0)


def test_readings() -> None:
    assert WORDS.read("女性") == "여성"
    assert WORDS.read("新女性") == "신녀성"  # the dictionary that knows better is not this one
    assert WORDS.read("娛樂") == "오락"
    assert (WORDS.read("比率"), WORDS.read("法率"), WORDS.read("率法")) == ("비율", "법률", "율법")
    assert (WORDS.read("金法"), WORDS.read("金")) == ("김법", "금")
    assert WORDS.read("女瓩") is None


def test_initial_sound_rule() -> None:
    assert "".join(map(at_start, "녀뇨뉴니랴례료류리라로노너수a")) == "여요유이야예요유이나노노너수a"


def test_read_so_and_is_hanja() -> None:
    assert (read_so([]), read_so(["백", "분", "률"]), read_so(["성", "공", "률"])) == ("", "백분율", "성공률")
    assert all(map(is_hanja, "一㐀鿿豈\U00020000")) and not any(map(is_hanja, "가a（、"))


def test_usual_readings_of_the_table() -> None:
    table = ReadingTable(hanja={"녀": "女", "여": "女與", "악": "樂岳惡握", "락": "洛樂", "낙": "落"})
    usual = table.usual()
    assert [usual[hanja] for hanja in "女與樂洛落"] == ["녀", "여", "악", "락", "낙"]
    assert table.allows("여", "女")
    assert not table.allows("수", "女")


def test_saved_and_loaded(tmp_path: Path) -> None:
    words = [("音樂", "음악"), ("娛樂", "오락"), ("女性", "녀성"), ("女性", "여성")]
    words += [("歷程", "력정"), ("歷程", "역정")]
    usual = {"音": "음", "樂": "악", "女": "녀", "性": "성", "歷": "력", "娛": "오"}
    Words.save(tmp_path / "words.txt", words, usual)
    lines = (tmp_path / "words.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines)
    assert {"音樂", "娛樂\t오락", "女性", "歷程\t역정", "樂\t악"} <= set(lines)
    loaded = Words.load(tmp_path / "words.txt")
    read = {word: loaded.read(word) for word, _ in words}
    assert read == {"音樂": "음악", "娛樂": "오락", "女性": "여성", "歷程": "역정"}


@pytest.mark.parametrize("line", ["", "首都首都首都首", "首都\t수", "首\t수도"])
def test_damaged_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "labels.txt").write_text("\n首\n", encoding="utf-8")
    (tmp_path / "words.txt").write_text(f"首都\n{line}\n", encoding="utf-8")
    write_manifest(
        tmp_path, name="t", scheme="syllable", reading_mask=True, top_k=4, max_tokens=64, context_tokens=8,
        pad_id=0, styles={"modern": 1}, cpu_runtime="onnxruntime", metrics={}, provenance={},
    )  # fmt: skip
    with pytest.raises(BundleError, match=r"words\.txt can't be read \(line 2"):
        Words.open(Bundle.open(tmp_path))
