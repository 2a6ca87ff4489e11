"""Sets of Hanja that a conversion may be limited to.

The educational characters are the 1,800 that the Korean Ministry of Education lists for schools
(한문 교육용 기초 한자, revised in 2000), as Unihan's kKoreanEducationHanja has them; the licence of the
table is beside it.
"""

from enum import Enum
from functools import cache
from pathlib import Path

from hanjaserve.server.errors import BadOption
from hanjaserve.server.readings import is_hanja

TABLE = Path(__file__).parent / "tables" / "education.txt"
MAX_CHARACTERS = 32_768
"""The longest list that a caller may give."""


class CharacterSet(Enum):
    """Which Hanja may be written."""

    ALL = "all"
    EDUCATIONAL = "educational"
    CUSTOM = "custom"


@cache
def educational() -> frozenset[str]:
    """The 1,800 characters; read once."""
    return frozenset(TABLE.read_text(encoding="utf-8")) - {"\n"}


def characters_of(kind: CharacterSet, custom: str = "") -> frozenset[str] | None:
    """The characters of a set; None means all.

    Args:
        kind: Which set.
        custom: The characters of CUSTOM, in any order.

    Raises:
        BadOption: `custom` is given for another set, too long, or holds what is no Hanja.
    """
    if kind is not CharacterSet.CUSTOM:
        if custom:
            raise BadOption(
                "characters",
                f"characters has {len(custom)} Hanja, but character_set is {kind.name}: use CUSTOM",
            )
        return educational() if kind is CharacterSet.EDUCATIONAL else None
    if len(custom) > MAX_CHARACTERS:
        raise BadOption("characters", f"characters has {len(custom)} Hanja, the limit is {MAX_CHARACTERS}")
    if other := next((char for char in custom if not is_hanja(char)), None):
        raise BadOption("characters", f"characters has U+{ord(other):04X}, which is no Hanja: remove it")
    return frozenset(custom)
