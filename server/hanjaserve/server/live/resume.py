"""Cut the text of a resumed session at the final segments that its client has."""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from hanjaserve.server.errors import BadOption
from hanjaserve.server.live.offsets import OffsetUnit, units_of
from hanjaserve.v1 import hanjaserve_pb2 as pb


def pieces_of(resume: pb.LiveResume, unit: OffsetUnit) -> Iterator[tuple[str, int | None]]:
    """The text in order: final segments with their ids, and what lies between them.

    Raises:
        BadOption: The segments are not in order, overlap, are not in the text, or one has an id that is not
            below `next_segment_id` or comes twice.
    """
    text, point = resume.text, _points(resume.text, unit)
    at = 0
    ids: set[int] = set()
    for number, final in enumerate(resume.finals):
        start, end = point(final.start), point(final.end)
        if start is None or end is None or not at <= start < end:
            what = f"is [{final.start}, {final.end})"
            raise _refused(number, f"{what}: finals must be in order, not overlap, and be in the text")
        if not 0 < final.segment_id < resume.next_segment_id or final.segment_id in ids:
            what = f"has the id {final.segment_id}"
            raise _refused(number, f"{what}: ids must differ and be below {resume.next_segment_id}")
        ids.add(final.segment_id)
        if start > at:
            yield text[at:start], None
        yield text[start:end], final.segment_id
        at = end
    if at < len(text):
        yield text[at:], None


def _points(text: str, unit: OffsetUnit) -> Callable[[int], int | None]:
    """A function from positions to code points; None for one that is not in the text."""
    places = units_of(text, unit)
    if places is None:
        return lambda position: position if position <= len(text) else None

    def point(position: int) -> int | None:
        found = bisect_left(places, position)
        return found if found < len(places) and places[found] == position else None

    return point


def _refused(number: int, what: str) -> BadOption:
    name = f"resume.finals[{number}]"
    return BadOption(name, f"{name} {what}")
