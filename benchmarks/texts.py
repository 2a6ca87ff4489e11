"""What the load is made of: sentences with the lengths that real text has.

Half court sentences (long, dense), half user-interface texts (short), read from $HANJASERVE_DATA (default
../shared/data), shuffled with a fixed seed. Where those files are absent, the same mix of lengths is
generated from common words; the result says which it was, since the two are not comparable.
"""

import csv
import lzma
import os
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

COURT, INTERFACE = "precedents_plain.txt.xz", "localisation_dev.tsv.xz"
VERSES = "bible.tsv.xz"
SEED = 42
COUNT = 8000
WORDS = (
    "대한민국 수도 서울 정부 국회 법원 판결 원고 피고 계약 손해 배상 청구 이유 사실 인정 그러나 그리고 "
    "이것은 있는 없는 하였다 따라 의하여 대하여 관한 위한 설정 저장 삭제 공개 게시물 사용자 열기 닫기"
).split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The texts of a run.

    Attributes:
        source: "real" or "generated".
        texts: In the order in which they are sent, over and over.
    """

    source: str
    texts: tuple[str, ...]

    @property
    def mean_code_points(self) -> float:
        """Code points per text."""
        return sum(map(len, self.texts)) / len(self.texts)


def load_mix(folder: Path | None = None, count: int = COUNT) -> Mix:
    """The real mix where its files are, else the generated one."""
    folder = folder or _folder()
    half = count // 2
    if (folder / COURT).exists() and (folder / INTERFACE).exists():
        court = _lines(folder / COURT, half)
        interface = [line.split("\t")[0] for line in _lines(folder / INTERFACE, half)]
        # There are fewer interface texts than court sentences: repeat them.
        short = (interface * (half // len(interface) + 1))[:half]
        return Mix(source="real", texts=_shuffled(court + short))
    chance = random.Random(SEED)
    # Medians of 75 and 12 code points and the spread of the real ones.
    lengths = [chance.lognormvariate(4.3, 0.6) for _ in range(half)]
    lengths += [chance.lognormvariate(2.5, 0.7) for _ in range(half)]
    return Mix(source="generated", texts=_shuffled([_sentence(chance, n) for n in lengths]))


def load_verses(folder: Path | None = None, count: int = 2000) -> tuple[str, ...]:
    """Verses, which the reference was made for; where they are not to be had, sentences as long."""
    folder = folder or _folder()
    if (folder / VERSES).exists():
        with lzma.open(folder / VERSES, "rt", encoding="utf-8", newline="\n") as lines:
            rows = list(csv.DictReader(islice(lines, count + 1), delimiter="\t", quoting=csv.QUOTE_NONE))
        return _shuffled([row["hangul"] for row in rows])
    chance = random.Random(SEED)
    return _shuffled([_sentence(chance, chance.gauss(60, 20)) for _ in range(count)])


def _folder() -> Path:
    return Path(os.environ.get("HANJASERVE_DATA", "../shared/data"))


def _lines(path: Path, count: int) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        return [line.rstrip("\r\n") for line in islice(lines, count)]


def _sentence(chance: random.Random, length: float) -> str:
    text = ""
    while len(text) < length:
        text += chance.choice(WORDS) + " "
    return text.strip()


def _shuffled(texts: list[str]) -> tuple[str, ...]:
    random.Random(SEED).shuffle(texts)
    return tuple(texts)
