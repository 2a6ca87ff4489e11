"""The client's document: splices in, changes of the segment list out. No conversion, no protocol.

A splice takes out the segments that it touches, cuts their new text into segments again, and leaves those
alone that come out as they were. What it costs does not depend on the length of the document.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, pairwise

from hanjaserve.server.errors import BadOption, TextTooLong
from hanjaserve.server.live.changes import Change, Splice
from hanjaserve.server.live.cutting import LONGEST, Segmentation, cut_long, ends_in
from hanjaserve.server.live.offsets import OffsetUnit, code_points_in, length_in
from hanjaserve.server.live.segments import End, Segment, Segments

CONTEXT = 64
"""Code points before a segment that the model sees."""


class Document:
    """A document of one session.

    Attributes:
        segments: Its text.
    """

    def __init__(
        self,
        segmentation: Segmentation,
        unit: OffsetUnit,
        *,
        max_code_points: int,
        max_segments: int,
        first_number: int = 1,
    ) -> None:
        self.segments = Segments()
        self._segmentation = segmentation
        self._unit = unit
        self._max_code_points = max_code_points
        self._max_segments = max_segments
        self._numbers = count(first_number)

    @property
    def text(self) -> str:
        """All of it; takes as long as it is."""
        return "".join([segment.text for segment in self.segments])

    def edit(self, splices: Sequence[Splice]) -> Iterator[Change]:
        """Change some places; all offsets count in the document as it is.

        Returns:
            The changes. Each is made when it is asked for, and its numbers are right until the next one.

        Raises:
            BadOption: An offset is not allowed; nothing has changed.
            TextTooLong: The document would be too long; nothing has changed.
        """
        self._check(splices)
        # From the end, so that the offsets of those before stay as they are.
        return (self._splice(splice.start, splice.end, splice.text) for splice in reversed(splices))

    def replace(self, text: str) -> Iterator[Change]:
        """Change all of it, leaving segments alone that are the same at its beginning and end; see `edit`.

        Raises:
            TextTooLong: The document would be too long; nothing has changed.
        """
        self.check_length(text)
        return self._replace(text)

    def _replace(self, text: str) -> Iterator[Change]:
        old = list(self.segments)
        first = start = units = 0
        # One more than those is cut anew, because what follows it has changed.
        while first < len(old) and text.startswith(old[first].text, start):
            start += len(old[first].text)
            units += old[first].units
            first += 1
        last, end, tail = len(old), len(text), self.segments.units
        while last > first and text.endswith(old[last - 1].text, start, end):
            last -= 1
            end -= len(old[last].text)
            tail -= old[last].units
        if units < tail or start < end:
            yield self._splice(units, tail, text[start:end])

    def commit(self) -> Iterator[Change]:
        """End the last segment where the text ends now; see `edit`."""
        index = len(self.segments) - 1
        if index >= 0 and not self.segments[index].is_closed:
            last = self.segments[index]
            last.end = End.COMMIT
            yield Change(index=index, removed=1, added=[last], rewritten=(), gone=())

    def restore(self, pieces: Sequence[tuple[str, int | None]]) -> list[Segment]:
        """Fill an empty document.

        Args:
            pieces: Texts that follow upon each other; with the number of a segment if it was one.

        Returns:
            The segments with such a number.
        """
        segments: list[Segment] = []
        kept = []
        for text, number in pieces:
            if number is None:
                segments += [self._new(piece, end) for piece, end in self._cut(text, (), "")]
                if segments:
                    segments[-1].end = End.COMMIT
            else:
                kept.append(self._new(text, End.COMMIT, number))
                segments.append(kept[-1])
        if segments and pieces[-1][1] is None:
            segments[-1].end = End.OPEN
        self.segments.splice(0, 0, segments)
        return kept

    def context_of(self, index: int) -> str:
        """The text before a segment on its line, at most CONTEXT code points."""
        parts: list[str] = []
        missing = CONTEXT
        for segment in self.segments.backwards(index):
            parts.append(segment.text[-missing:])
            missing -= len(parts[-1])
            if missing <= 0 or "\n" in parts[-1]:
                break
        context = "".join(reversed(parts))
        return context[context.rfind("\n") + 1 :]

    def _check(self, splices: Sequence[Splice]) -> None:
        done = 0
        length = self.segments.code_points
        for number, splice in enumerate(splices):
            name = f"splices[{number}]"
            if not done <= splice.start <= splice.end <= self.segments.units:
                raise BadOption(
                    name,
                    f"{name} is [{splice.start}, {splice.end}): it must begin at {done} or later, where "
                    f"the one before ends, and end at {self.segments.units} or earlier, as the document does",
                )
            done = splice.end
            removed = self._point(splice.end, name) - self._point(splice.start, name)
            length += len(splice.text) - removed
        self._check_length(length, *[splice.text for splice in splices])

    def check_length(self, text: str) -> None:
        """See whether a text is short enough to be the document.

        Raises:
            TextTooLong: It is not.
        """
        self._check_length(len(text), text)

    def _check_length(self, length: int, *texts: str) -> None:
        if length > self._max_code_points:
            raise TextTooLong(
                f"the document would have {length} code points, the limit is {self._max_code_points}: "
                "split it, or start the server with a larger --max-live-code-points"
            )
        # Most texts are short, and a bound on what they can add is good enough.
        most = len(self.segments) + sum([len(text) // 2 + 2 for text in texts])
        if most <= self._max_segments:
            return
        ends = sum([sum(1 for _ in ends_in(text, self._segmentation)) for text in texts])
        most = max(1, len(self.segments)) + ends
        if most > self._max_segments:
            raise TextTooLong(
                f"the document would have about {most} segments, the limit is {self._max_segments}: "
                "split it, or use SEGMENTATION_LINE"
            )

    def _point(self, position: int, name: str) -> int:
        """A position in code points.

        Raises:
            BadOption: It is inside a surrogate pair.
        """
        if not len(self.segments):
            return 0
        index, start = self.segments.locate(position)
        segment = self.segments[index]
        inside = code_points_in(segment.text, position - start, self._unit)
        if inside is None:
            raise BadOption(
                name, f"{name} has the offset {position}, inside a surrogate pair: move it by 1"
            )
        return self.segments.code_points_before(segment) + inside

    def _splice(self, start: int, end: int, text: str) -> Change:
        """Replace [start, end), which has been checked."""
        segments = self.segments
        if not len(segments):
            return self._put(0, 0, self._cut(text, (), ""))
        # The segment before a border may take in white space, and that after it may be joined.
        first, begin = segments.locate(max(start - 1, 0))
        last = segments.locate(end)[0] + 1
        while True:
            region = segments.slice(first, last)
            pieces = self._cut_region(region, start - begin, end - begin, text, last)
            before = segments[first - 1] if first else None
            if self._goes_on(region, pieces, last):
                last += 1
            elif before and before.end is End.CUT and pieces and _fit(before.text, pieces[0][0]):
                first, begin = first - 1, begin - before.units
            else:
                return self._put(first, last, pieces)

    def _goes_on(self, region: Sequence[Segment], pieces: list[tuple[str, End]], last: int) -> bool:
        """Whether a region has lost its end, so that its last piece goes on in the next segment."""
        if last == len(self.segments) or not pieces or pieces[-1][1] is not End.OPEN:
            return False
        if region[-1].end is not End.CUT or _fit(pieces[-1][0], self.segments[last].text):
            return True
        pieces[-1] = (pieces[-1][0], End.CUT)
        return False

    def _cut_region(
        self, region: Sequence[Segment], start: int, end: int, text: str, last: int
    ) -> list[tuple[str, End]]:
        """The new pieces of a region, as if it began and ended where segments do."""
        old = "".join([segment.text for segment in region])
        low = code_points_in(old, start, self._unit)
        high = code_points_in(old, end, self._unit)
        assert low is not None and high is not None, "checked before. This is a bug."
        commits = set()
        position = 0
        for segment in region:
            position += len(segment.text)
            if segment.end is End.COMMIT:
                if position <= low:
                    commits.add(position)
                elif position >= high:
                    commits.add(position + len(text) - (high - low))
        new = old[:low] + text + old[high:]
        follows = self.segments[last].text[:1] if last < len(self.segments) else ""
        return self._cut(new, commits, follows)

    def _cut(self, text: str, commits: Iterable[int], follows: str) -> list[tuple[str, End]]:
        """Cut a text into pieces; the last one is OPEN unless it ends before what follows."""
        pieces: list[tuple[str, End]] = []
        bounds = sorted({0, len(text), *commits})
        for begin, stop in pairwise(bounds):
            part = text[begin:stop]
            is_last = stop == len(text)
            ends = dict.fromkeys(ends_in(part + follows if is_last else part, self._segmentation), End.RULE)
            if not is_last or stop in commits:
                ends[len(part)] = End.COMMIT
            ends.setdefault(len(part), End.OPEN)
            start = 0
            for end, why in ends.items():
                for cut in cut_long(start, end, part):
                    pieces.append((part[start:cut], End.CUT))
                    start = cut
                pieces.append((part[start:end], why))
                start = end
        return pieces

    def _put(self, first: int, last: int, pieces: Sequence[tuple[str, End]]) -> Change:
        """Replace segments [first, last) by pieces; equal ones at both ends stay."""
        old = self.segments.slice(first, last)
        same = tail = 0
        least = min(len(old), len(pieces))
        while same < least and (old[same].text, old[same].end) == pieces[same]:
            same += 1
        while tail < least - same and (old[-1 - tail].text, old[-1 - tail].end) == pieces[-1 - tail]:
            tail += 1
        old, pieces = old[same : len(old) - tail], pieces[same : len(pieces) - tail]
        first += same
        added: list[Segment] = []
        rewritten: list[Segment] = []
        for number, (text, end) in enumerate(pieces):
            if number < len(old):
                segment = old[number]
                if segment.text != text:
                    segment.text, segment.units = text, length_in(text, self._unit)
                    rewritten.append(segment)
                segment.end = end
            else:
                segment = self._new(text, end)
                rewritten.append(segment)
            added.append(segment)
        self.segments.splice(first, first + len(old), added)
        return Change(
            index=first, removed=len(old), added=added, rewritten=rewritten, gone=old[len(pieces) :]
        )

    def _new(self, text: str, end: End, number: int | None = None) -> Segment:
        number = next(self._numbers) if number is None else number
        return Segment(number=number, text=text, units=length_in(text, self._unit), end=end)


def _fit(one: str, other: str) -> bool:
    """Whether two parts of a sentence are short enough to be one segment again."""
    return len(one) + len(other) <= LONGEST
