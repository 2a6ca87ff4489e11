"""A list of segments that is quick to search and to splice, however long it is.

It is kept in blocks of about a hundred segments, each with the sum of their lengths. A search walks over
blocks and then within one, and a splice builds only the blocks anew that it touches. A document of a million
code points has some hundred blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from hanjaserve.v1 import hanjaserve_pb2 as pb

BLOCK = 96
"""Segments of a new block; it holds up to twice as many, and is joined with a neighbour below half."""


class End(Enum):
    """Why a segment ends where it does."""

    OPEN = "open"
    """It is the last one, and may go on."""
    RULE = "rule"
    """A sentence or line ends there."""
    CUT = "cut"
    """It would be too long."""
    COMMIT = "commit"
    """The client said so."""


@dataclass(slots=True, eq=False)
class Segment:
    """A segment of a document.

    Attributes:
        number: Its id.
        text: Its text.
        units: The length of it, in the units of the session.
        end: Why it ends.
        block: The block that holds it; None once it is removed.
        context: A hash of the context that it was last converted with; None if it never was.
        final: A hash of its final result; None while it has none.
        sent: The client has been sent that.
        held: Its result and a hash of it while it is not closed; the final one if nothing changes.
    """

    number: int
    text: str
    units: int
    end: End
    block: "Block | None" = None
    context: int | None = None
    final: int | None = None
    sent: bool = False
    held: tuple[pb.SegmentResult, int] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether typing behind it leaves it as it is."""
        return self.end is not End.OPEN


@dataclass(slots=True, eq=False)
class Block:
    """Neighbouring segments."""

    segments: list[Segment] = field(default_factory=list)
    units: int = 0
    code_points: int = 0


class Segments:
    """All segments of a document, in order.

    Attributes:
        units: The length of the document, in the units of the session.
        code_points: The same in code points.
    """

    def __init__(self) -> None:
        self.units = 0
        self.code_points = 0
        self._blocks: list[Block] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Segment]:
        for block in self._blocks:
            yield from block.segments

    def __getitem__(self, index: int) -> Segment:
        for block in self._blocks:
            if index < len(block.segments):
                return block.segments[index]
            index -= len(block.segments)
        raise IndexError(f"there are {self._size} segments")

    def locate(self, position: int) -> tuple[int, int]:
        """The segment that a position is in: its index, and where it starts.

        At a border it is the one that begins there; at the very end the last one. There must be one.
        """
        index = start = 0
        for block in self._blocks:
            if position < start + block.units or block is self._blocks[-1]:
                for segment in block.segments[:-1]:
                    if position < start + segment.units:
                        break
                    start += segment.units
                    index += 1
                return index, start
            start += block.units
            index += len(block.segments)
        raise IndexError("there are no segments")

    def place_of(self, segment: Segment) -> tuple[int, int]:
        """The index of a segment of the list, and where it starts."""
        index = start = 0
        for block in self._blocks:
            if block is segment.block:
                break
            index += len(block.segments)
            start += block.units
        for other in segment.block.segments if segment.block else ():
            if other is segment:
                return index, start
            index += 1
            start += other.units
        raise ValueError(f"segment {segment.number} is not in the list")

    def code_points_before(self, segment: Segment) -> int:
        """How many code points there are before a segment of the list."""
        found = 0
        for block in self._blocks:
            if block is segment.block:
                break
            found += block.code_points
        for other in segment.block.segments if segment.block else ():
            if other is segment:
                break
            found += len(other.text)
        return found

    def slice(self, first: int, last: int) -> list[Segment]:
        """Segments [first, last)."""
        found: list[Segment] = []
        for block in self._blocks:
            if last <= 0:
                break
            if first < len(block.segments):
                found += block.segments[max(first, 0) : last]
            first -= len(block.segments)
            last -= len(block.segments)
        return found

    def backwards(self, index: int) -> Iterator[Segment]:
        """The segments before an index, the nearest first."""
        number, before = self._block_at(index)
        if number < len(self._blocks):
            yield from reversed(self._blocks[number].segments[: index - before])
        for block in reversed(self._blocks[:number]):
            yield from reversed(block.segments)

    def splice(self, first: int, last: int, added: Sequence[Segment]) -> None:
        """Replace segments [first, last); some of them may be among the added ones."""
        low, before = self._block_at(first)
        high, after = low, before
        while high < len(self._blocks) and (after < last or high == low):
            after += len(self._blocks[high].segments)
            high += 1
        if after - before - (last - first) + len(added) < BLOCK // 2 and high < len(self._blocks):
            high += 1
        touched = [segment for block in self._blocks[low:high] for segment in block.segments]
        for segment in touched[first - before : last - before]:
            segment.block = None
        blocks = _blocks_of([*touched[: first - before], *added, *touched[last - before :]])
        for sign, changed in ((-1, self._blocks[low:high]), (1, blocks)):
            self.units += sign * sum([block.units for block in changed])
            self.code_points += sign * sum([block.code_points for block in changed])
        self._blocks[low:high] = blocks
        self._size += len(added) - (last - first)

    def _block_at(self, index: int) -> tuple[int, int]:
        """The block with an index, or the last one for the end: its number, and its first index."""
        before = 0
        for number, block in enumerate(self._blocks):
            if index < before + len(block.segments):
                return number, before
            before += len(block.segments)
        if not self._blocks:
            return 0, 0
        return len(self._blocks) - 1, before - len(self._blocks[-1].segments)


def _blocks_of(segments: Sequence[Segment]) -> list[Block]:
    count = 1 if len(segments) <= 2 * BLOCK else len(segments) // BLOCK
    bounds = [number * len(segments) // count for number in range(count + 1)]
    blocks = []
    for start, end in pairwise(bounds if segments else ()):
        block = Block(segments=list(segments[start:end]))
        for segment in block.segments:
            segment.block = block
            block.units += segment.units
            block.code_points += len(segment.text)
        blocks.append(block)
    return blocks
