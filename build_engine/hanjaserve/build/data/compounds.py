"""What compounds tell about the senses of their parts: 交通事故 and 論理的思考 say which 사고 is meant where.

No dictionary of Hanja has example sentences, but it has tens of thousands of compounds whose parts are
ambiguous words. They are the only text in which people chose a sense, apart from law and the Bible.
"""

from collections.abc import Collection, Iterable, Mapping

Part = tuple[str, str]
"""A word in Hangul and its spelling."""
Compound = tuple[Part, ...]

SIZES = (3, 2, 4, 5)
"""Syllables of a part, those that fit most often first."""


def split_compounds(
    entries: Iterable[tuple[str, str]], spellings: Mapping[str, Collection[str]]
) -> list[Compound]:
    """The entries that consist of two or more words.

    Args:
        entries: (hangul, hanja) of a dictionary; white space in the Hangul is left out.
        spellings: word -> how it may be spelt; a part must be one of these.

    Example:
        >>> split_compounds([("교통 사고", "交通事故")], {"교통": ["交通"], "사고": ["思考", "事故"]})
        [(('교통', '交通'), ('사고', '事故'))]
    """
    found: dict[Compound, None] = {}
    for spaced, hanja in entries:
        hangul = "".join(spaced.split())
        parts = _split(hangul, hanja, spellings) if len(hangul) == len(hanja) else None
        if parts and len(parts) > 1:
            found[tuple(parts)] = None
    return list(found)


def _split(hangul: str, hanja: str, spellings: Mapping[str, Collection[str]]) -> list[Part] | None:
    if not hangul:
        return []
    for size in SIZES:
        word, spelling = hangul[:size], hanja[:size]
        if len(word) == size and spelling in spellings.get(word, ()):
            rest = _split(hangul[size:], hanja[size:], spellings)
            if rest is not None:
                return [(word, spelling), *rest]
    return None
