"""Which Hangul a Hanja may be read as, and which labels a token's surface allows.

What: a table Hanja -> its Hangul syllables, made from the `hanja` package plus the characters
with more than one reading, or loaded from a `readings.tsv` (Hangul TAB every Hanja read so). The
initial-sound rule (두음법칙) is applied to every entry: 女 is read 녀 and 여, whatever its
position, because a token does not know whether it starts a word (신여성 新女性).
Why: the reading mask of a word-scheme bundle. A label is allowed on a token only if it can be
read as the token's surface: 首都 on 수도, 貪ㅎ and 定하 where the Hangul of the label must be in
the surface as it is.
Not: a pronunciation dictionary. It never ranks readings, and an unknown Hanja has none (its
labels are masked), because a reading that is never violated beats one more converted word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.server.errors import BuildError

_FIRST_SYLLABLE = 0xAC00
_LAST_SYLLABLE = 0xD7A3
_VOWELS = 21
_FINALS = 28
_NIEUN, _RIEUL, _IEUNG = 2, 5, 11
_Y_VOWELS = frozenset({2, 3, 6, 7, 12, 17, 20})
"""Vowels before which an initial ㄴ or ㄹ falls away: ㅑ ㅒ ㅕ ㅖ ㅛ ㅠ ㅣ."""

# Readings that the `hanja` package, which knows one per character, leaves out.
_MORE_READINGS = """
不부 串곶관 丹란 什집 便변 切체 刺척 北배 參삼 句귀 咽열 塞색 奈나 契글설 宅댁 寧녕 度탁 廓곽
復부 惡오 拓탁 拾십 數삭촉 易이 暈운 暴포 更갱 樂악요 殺쇄 沈심 泌필 洞통 滑골 炙적 狀장 率률
瑩영 異리 省생 糖탕 索삭 若야 茶차 葉섭 行항 見현 說세열 識지 讀두 豈개 賈고 車거 輻폭 辰신 金김
阮원 降항 龜귀균 喇나 拏라 諾락 怒로 宿수 則즉 畫획 畵획 單선 反번 十시 六유뉴 木모 布보 食사
射야 衰최 帥솔 於오 著착 徵치 差치 推퇴 合홉 汨멱 陜협 內나 邪야 幀탱 帖체 丑추 跛피 告곡 父보
魄박 屬촉 泄예 亡무 湯상 否비
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTable:
    """Hanja -> the Hangul syllables it may be read as.

    Attributes:
        of: readings of each character; the initial-sound variants are among them.

    Example:
        >>> ReadingTable.from_pairs([("女", "녀")]).of["女"] == {"녀", "여"}
        True
    """

    of: Mapping[str, frozenset[str]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> ReadingTable:
        """Builds a table of (Hanja, Hangul syllable) pairs and their initial-sound variants."""
        readings: dict[str, set[str]] = {}
        for character, syllable in pairs:
            readings.setdefault(character, set()).update(initial_sound_variants(syllable))
        return cls(of={character: frozenset(found) for character, found in readings.items()})

    @classmethod
    def from_package(cls) -> ReadingTable:
        """The table of the `hanja` package with the further readings of this module.

        Raises:
            BuildError: the package is not installed.
        """
        try:
            from hanja.table import hanja_table
        except ImportError as error:
            raise BuildError(
                "the reading mask of a word-scheme bundle needs the package 'hanja': install "
                "hanjaserve[build], or give a table with --readings FILE"
            ) from error
        return cls.from_pairs([*hanja_table.items(), *_further_readings()])

    @classmethod
    def load(cls, path: Path) -> ReadingTable:
        """Reads a `readings.tsv`: a Hangul syllable, a tab, every Hanja that is read so.

        Raises:
            BuildError: the file cannot be read, or a line has another shape.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BuildError(f"cannot read the readings {path}: {error}") from error
        pairs: list[tuple[str, str]] = []
        for number, line in enumerate(lines, start=1):
            syllable, tab, characters = line.partition("\t")
            if not tab or len(syllable) != 1:
                raise BuildError(
                    f"{path}, line {number}: expected one Hangul syllable, a tab and Hanja, got {line[:40]!r}"
                )
            pairs.extend((character, syllable) for character in characters)
        return cls.from_pairs(pairs)

    def save(self, path: Path, characters: Iterable[str]) -> None:
        """Writes the readings of `characters` as a `readings.tsv`."""
        by_sound: dict[str, set[str]] = {}
        for character in characters:
            for sound in self.of.get(character, frozenset()):
                by_sound.setdefault(sound, set()).add(character)
        lines = [f"{sound}\t{''.join(sorted(by_sound[sound]))}\n" for sound in sorted(by_sound)]
        path.write_text("".join(lines), encoding="utf-8", newline="\n")

    def allows(self, label: str, surface: str) -> bool:
        """Whether `label` can be read as `surface`, syllable by syllable.

        Example:
            >>> table = ReadingTable.from_pairs([("定", "정")])
            >>> table.allows("定하", "정하"), table.allows("定하", "정한")
            (True, False)
        """
        if len(label) != len(surface):
            return False
        return all(
            char == sound if is_hangul(char) else sound in self.of.get(char, frozenset())
            for char, sound in zip(label, surface, strict=True)
        )


def is_hangul(char: str) -> bool:
    """Whether `char` is a Hangul syllable or a compatibility jamo (the ㅎ of 貪ㅎ)."""
    return _FIRST_SYLLABLE <= ord(char) <= _LAST_SYLLABLE or 0x3131 <= ord(char) <= 0x318E


def initial_sound_variants(syllable: str) -> frozenset[str]:
    """`syllable` and what the initial-sound rule makes of it.

    Example:
        >>> sorted(initial_sound_variants("률"))
        ['률', '율']
    """
    code = ord(syllable) - _FIRST_SYLLABLE
    if not 0 <= code <= _LAST_SYLLABLE - _FIRST_SYLLABLE:
        return frozenset({syllable})
    initial, rest = divmod(code, _VOWELS * _FINALS)
    vowel = rest // _FINALS
    if initial in (_NIEUN, _RIEUL) and vowel in _Y_VOWELS:
        sounded = _IEUNG
    elif initial == _RIEUL:
        sounded = _NIEUN
    else:
        sounded = initial
    return frozenset({syllable, chr(_FIRST_SYLLABLE + sounded * _VOWELS * _FINALS + rest)})


def _further_readings() -> Iterator[tuple[str, str]]:
    for entry in _MORE_READINGS.split():
        for syllable in entry[1:]:
            yield entry[0], syllable
