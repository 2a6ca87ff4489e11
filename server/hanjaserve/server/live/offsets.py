"""Positions in the units of a client: code points, or UTF-16 code units as in JavaScript and Java."""

from enum import Enum

BEYOND = "\uffff"
"""Characters after it take two UTF-16 code units."""


class OffsetUnit(Enum):
    """What offsets count."""

    CODE_POINT = "code point"
    UTF16 = "UTF-16 code unit"


def length_in(text: str, unit: OffsetUnit) -> int:
    """The length of a text.

    Example:
        >>> length_in("수😀", OffsetUnit.UTF16)
        3
    """
    if unit is OffsetUnit.CODE_POINT or text.isascii():
        return len(text)
    return len(text) + sum([char > BEYOND for char in text]) if max(text) > BEYOND else len(text)


def code_points_in(text: str, position: int, unit: OffsetUnit) -> int | None:
    """A position in code points; None if it is inside a surrogate pair.

    Example:
        >>> [code_points_in("수😀", at, OffsetUnit.UTF16) for at in range(4)]
        [0, 1, None, 2]
    """
    if unit is OffsetUnit.CODE_POINT or text.isascii() or max(text) <= BEYOND:
        return position
    units = 0
    for index, char in enumerate(text):
        if units >= position:
            return index if units == position else None
        units += 1 + (char > BEYOND)
    return len(text) if units == position else None


def units_of(text: str, unit: OffsetUnit) -> list[int] | None:
    """The position of every code point and of the end, or None if they are the same in both units."""
    if length_in(text, unit) == len(text):
        return None
    found = [0]
    for char in text:
        found.append(found[-1] + 1 + (char > BEYOND))
    return found
