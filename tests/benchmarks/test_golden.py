"""Our own sentences: the file is sound, and the bundled model is no worse than when it was recorded."""

import json
from pathlib import Path

import pytest

from benchmarks.accuracy.golden import RECORD, Case, read_cases, shares
from hanjaserve.models import default_bundle_path
from hanjaserve.server.converter import LocalConverter


def test_the_word_is_looked_up_where_it_stands() -> None:
    case = Case(kind="homograph", sentence="그 의사는 친절하다", word="의사", expected="醫師")
    assert case.found("그 醫師는 親切하다") == "醫師"
    assert case.found("그 의師는 親切하다") == "의師"
    assert shares([case, case], ["그 醫師는 親切하다", "그 意思는 親切하다"]) == {"homograph": (1, 2)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("native\t하늘이 맑다\t하늘", "3 columns"),
        ("native\t하늘 아래 하늘\t하늘\t하늘", "must stand once"),
        ("stem\t정하다\t정하\t定", "as long as 定"),
    ],
)
def test_a_malformed_case_names_its_line(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "cases.tsv"
    path.write_text(f"# comment\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"line 2: .*{reason}"):
        read_cases(path)


def test_the_bundled_model_is_as_good_as_recorded() -> None:
    cases = read_cases()
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    with LocalConverter.open(default_bundle_path()) as converter:
        texts = [conversion.text for conversion in converter.convert_batch([c.sentence for c in cases])]
    found = shares(cases, texts)
    assert found.keys() == recorded.keys()
    for kind, (right, total) in found.items():
        assert total == recorded[kind][1], kind
        assert right >= recorded[kind][0], kind
