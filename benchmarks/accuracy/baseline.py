"""The floor: longest match with the first spelling that libhangul lists, words of two or more syllables."""

from collections.abc import Iterable


class DictionaryConverter:
    """Converts by longest match; no context, no readings of single syllables.

    Args:
        entries: (hangul, hanja), the likeliest spelling of a word first.

    Example:
        >>> DictionaryConverter([("수도", "首都"), ("수도", "水道")]).convert("상수도")
        '상首都'
    """

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        self._spelling: dict[str, str] = {}
        for hangul, hanja in entries:
            if len(hangul) > 1:
                self._spelling.setdefault(hangul, hanja)
        self._longest = max(map(len, self._spelling), default=0)

    def convert(self, text: str) -> str:
        """The text with every word that it knows in Hanja."""
        parts = []
        at = 0
        while at < len(text):
            sizes = range(min(self._longest, len(text) - at), 1, -1)
            found = next((size for size in sizes if text[at : at + size] in self._spelling), 1)
            word = text[at : at + found]
            parts.append(self._spelling.get(word, word))
            at += found
        return "".join(parts)
