"""What an edit asks for, and what it did to the list of segments."""

from collections.abc import Sequence
from dataclasses import dataclass

from hanjaserve.server.live.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """Replaces [start, end), in the units of the session, by a text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an edit did to the list of segments.

    Attributes:
        index: Where it changed.
        removed: How many segments are gone from there.
        added: What is there instead; some of them were there before.
        rewritten: Those of `added` that have another text, or are new.
        gone: Segments that are not in the document any more.
    """

    index: int
    removed: int
    added: Sequence[Segment]
    rewritten: Sequence[Segment]
    gone: Sequence[Segment]
