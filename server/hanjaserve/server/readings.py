"""How Hanja are read: the table of a bundle, and the rules by which a reading changes in a word.

    readings.tsv   a syllable, TAB, all Hanja that are read so

The rules are those of Korean orthography (한글 맞춤법, articles 10 to 12): at the start of a word ㄹ
becomes ㄴ and both fall silent before i and y sounds (the initial-sound rule, 두음법칙: 녀자 -> 여자),
and 렬, 률 are written 열, 율 after a vowel or ㄴ (비율, 백분율).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hanjaserve.server.bundle import FIX, Bundle
from hanjaserve.server.errors import BundleError
from hanjaserve.server.labels import FIRST_SYLLABLE, LAST_SYLLABLE

READINGS = "readings.tsv"
VOWELS, FINALS = 21, 28
NIEUN, RIEUL, SILENT = 2, 5, 11
"""Initial consonants, as Unicode numbers them."""
Y_SOUNDS = frozenset({2, 3, 6, 7, 12, 17, 20})
"""Vowels before which an initial falls silent: ㅑ ㅒ ㅕ ㅖ ㅛ ㅠ ㅣ."""
FINAL_NIEUN = 4
LEAD = 8
"""What the length of a list counts against the place in it; found by trying."""
IDEOGRAPHS = (
    ("\u4e00", "\u9fff"), ("\u3400", "\u4dbf"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"),
)  # fmt: skip
"""First and last of the blocks that hold Hanja, compatibility ideographs included."""


def is_syllable(char: str) -> bool:
    """Whether it is a precomposed Hangul syllable."""
    return FIRST_SYLLABLE <= ord(char) <= LAST_SYLLABLE


def is_hanja(char: str) -> bool:
    """Whether it is a Hanja."""
    return any(first <= char <= last for first, last in IDEOGRAPHS)


def at_start(syllable: str) -> str:
    """A syllable as it is written at the start of a word.

    Example:
        >>> [at_start(char) for char in "녀리락수"]
        ['여', '이', '낙', '수']
    """
    if not is_syllable(syllable):
        return syllable
    initial, rest = divmod(ord(syllable) - FIRST_SYLLABLE, VOWELS * FINALS)
    if initial in (NIEUN, RIEUL) and rest // FINALS in Y_SOUNDS:
        initial = SILENT
    elif initial == RIEUL:
        initial = NIEUN
    return chr(FIRST_SYLLABLE + initial * VOWELS * FINALS + rest)


def read_so(syllables: Sequence[str]) -> str:
    """Write the readings of a word's Hanja as a word.

    Example:
        >>> read_so(["률", "법"]), read_so(["비", "률"]), read_so(["법", "률"])
        ('율법', '비율', '법률')
    """
    written = [at_start(syllable) for syllable in syllables[:1]]
    for before, syllable in pairwise(syllables):
        soft = is_syllable(before) and (ord(before) - FIRST_SYLLABLE) % FINALS in (0, FINAL_NIEUN)
        written.append(at_start(syllable) if soft and syllable in ("렬", "률") else syllable)
    return "".join(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingTable:
    """Which Hanja are read like a syllable.

    Attributes:
        hanja: Syllable -> all Hanja that are read so, the most frequent first.
    """

    hanja: Mapping[str, str]

    @classmethod
    def open(cls, bundle: Bundle) -> "ReadingTable":
        """Read `readings.tsv`.

        Raises:
            BundleError: It is missing or not what it should be.
        """
        path = bundle.path(READINGS)
        try:
            rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
            return cls(hanja={syllable: hanja for syllable, hanja in rows})
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} can't be read ({error}): {FIX}") from error

    def allows(self, syllable: str, hanja: str) -> bool:
        """Whether a Hanja is known to be read like a syllable, at the start of a word or inside."""
        return hanja in self.hanja.get(syllable, "")

    def usual(self) -> dict[str, str]:
        """The reading of every Hanja: the syllable in whose list it stands foremost for its length.

        The lists of rare readings are short, so that the first place in one means little. Of the
        1,781 educational Hanja that the dictionary knows, 97.6 % get its usual reading.

        Where one of two syllables is only how the other is written at the start of a word, it is
        the other: 女 is read 녀.
        """
        places: dict[str, list[tuple[float, str]]] = {}
        for syllable, hanja in self.hanja.items():
            for place, char in enumerate(hanja):
                places.setdefault(char, []).append(((place + LEAD) / len(hanja), syllable))
        usual = {}
        for char, found in places.items():
            weakened = {at_start(syllable) for _, syllable in found if at_start(syllable) != syllable}
            strong = [entry for entry in found if entry[1] not in weakened]
            usual[char] = min(strong or found)[1]
        return usual
