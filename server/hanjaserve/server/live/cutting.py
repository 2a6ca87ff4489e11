"""Where a document falls into segments: a function of the text alone, decided by a few characters.

A segment is a sentence, or a line, with the white space behind it. It ends where another text follows, so
white space at the end of a document belongs to its last segment. Whether a place is an end depends only
on the characters before it, back to the sign that ends the sentence, and the one after it: so an edit can
change the ends in its own segments and at their borders, and nowhere else.
"""

import re
from collections.abc import Iterator
from enum import Enum

LONGEST = 512
"""Code points of the longest segment; a longer sentence is cut."""

CLOSERS = r"[\"'”’」』)\]］】》〉]*"
SENTENCE = re.compile(
    rf"[.!?…。．！？]{CLOSERS}\s+|[。！？]{CLOSERS}(?![.!?…。．！？\"'”’」』)\]］】》〉\s])|\n\s*"
)
LINE = re.compile(r"\n\s*")


class Segmentation(Enum):
    """What a segment is."""

    SENTENCE = "sentence"
    LINE = "line"


def ends_in(text: str, segmentation: Segmentation) -> Iterator[int]:
    r"""Where segments end inside a text, in order; never at 0 or at its end.

    Example:
        >>> list(ends_in("하나. 둘\n셋 3.1", Segmentation.SENTENCE))
        [4, 6]
    """
    pattern = SENTENCE if segmentation is Segmentation.SENTENCE else LINE
    for match in pattern.finditer(text):
        if match.end() < len(text):
            yield match.end()


def cut_long(start: int, end: int, text: str) -> Iterator[int]:
    """Where to cut a segment [start, end) that is too long: after white space if possible.

    Example:
        >>> list(cut_long(0, 1100, "가" * 500 + " " + "나" * 599))
        [501, 1013]
    """
    while end - start > LONGEST:
        least, most = start + LONGEST // 2, start + LONGEST
        space = max(text.rfind(" ", least, most), text.rfind("\n", least, most))
        start = space + 1 if space >= 0 else most
        yield start
