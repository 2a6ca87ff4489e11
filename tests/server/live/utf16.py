"""A session as a client sees it that counts UTF-16 units, as JavaScript does.

Reckoned by Python's codec, not by the server's `offsets.py`; it fails where a surrogate pair is cut.
"""

from collections.abc import Iterable

from hanjaserve.v1 import hanjaserve_pb2 as pb


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, start: int, end: int) -> str:
    """Units [start, end) of a text."""
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


def to_units(places: Iterable[pb.Splice] | Iterable[pb.FinalSegment], text: str) -> None:
    """Write places in a text, given in code points, in units."""
    for place in places:
        place.start, place.end = units(text[: place.start]), units(text[: place.end])


def to_points(heads: Iterable[pb.SegmentHead], text: str) -> None:
    """Write lengths of segments with which a text begins, given in units, in code points."""
    at = 0
    for head in heads:
        start, at = at, at + head.length
        head.length = len(cut(text, start, at))
