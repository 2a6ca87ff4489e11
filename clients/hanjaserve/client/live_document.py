"""The client's own copy of a live document, and what it must tell a server to go on with it. No I/O.

A final segment survives a lost connection if nothing that it depends on was edited in between: its text, and
the 64 code points before it. Which edits those are is known from a log of the edits that are not done yet.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hanjaserve.client.errors import InvalidRequest
from hanjaserve.client.live_view import LiveSegment, LiveView
from hanjaserve.v1 import hanjaserve_pb2 as pb

CONTEXT = 64
"""Code points before a segment that its conversion depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """Replaces [start, end) of a document by a text; offsets in code points."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    revision: int
    splices: tuple[Splice, ...]


class LiveDocument:
    """The document of one session.

    Attributes:
        text: As the caller has edited it.
        revision: The last one that was made.
        max_code_points: What the server takes; without limit before it has said so.
    """

    def __init__(self) -> None:
        self.text = ""
        self.revision = 0
        self.max_code_points = sys.maxsize
        self._log: deque[_Edit] = deque()

    def edit(self, splices: Sequence[Splice]) -> pb.LiveRequest:
        """Change some places; all offsets count in the text as it is.

        Raises:
            InvalidRequest: The splices are not in order, overlap, or are not in the text, or make it too
                long; it stays as it was.
        """
        parts = []
        done = 0
        for number, splice in enumerate(splices):
            if not done <= splice.start <= splice.end <= len(self.text):
                raise InvalidRequest(
                    f"splice {number} is [{splice.start}, {splice.end}): it must begin at {done} or later, "
                    f"and end at {len(self.text)} or earlier"
                )
            parts += [self.text[done : splice.start], splice.text]
            done = splice.end
        text = "".join([*parts, self.text[done:]])
        self._check_length(text)
        self.text = text
        self._note(splices)
        sent = [pb.Splice(start=s.start, end=s.end, text=s.text) for s in splices]
        return pb.LiveRequest(edit=pb.LiveEdit(revision=self.revision, splices=sent))

    def replace(self, text: str) -> pb.LiveRequest:
        """Change all of it.

        Raises:
            InvalidRequest: The text is too long.
        """
        self._check_length(text)
        everything = Splice(start=0, end=len(self.text), text=text)
        self.text = text
        self._note([everything])
        return pb.LiveRequest(replace=pb.LiveReplace(revision=self.revision, text=text))

    def commit(self) -> pb.LiveRequest:
        """Make every segment final."""
        self._note([])
        return pb.LiveRequest(commit=pb.LiveCommit(revision=self.revision))

    def forget(self, done: int) -> None:
        """Revisions up to this one are done."""
        while self._log and self._log[0].revision <= done:
            self._log.popleft()

    def resume(self, view: LiveView, token: str) -> pb.LiveResume:
        """What a server must know to go on."""
        finals = [
            pb.FinalSegment(segment_id=segment.id, start=start, end=end)
            for segment, start, end in self._surviving(view)
        ]
        return pb.LiveResume(
            resume_token=token,
            revision=self.revision,
            text=self.text,
            finals=finals,
            next_segment_id=view.next_id,
        )

    def _check_length(self, text: str) -> None:
        # The server would refuse it; and a call that resumes such a document would be refused for good.
        if len(text) > self.max_code_points:
            raise InvalidRequest(
                f"the document would have {len(text)} code points, the limit is {self.max_code_points}: "
                "divide it, or start the server with a higher --max-live-code-points"
            )

    def _note(self, splices: Sequence[Splice]) -> None:
        self.revision += 1
        self._log.append(_Edit(revision=self.revision, splices=tuple(splices)))

    def _surviving(self, view: LiveView) -> Iterator[tuple[LiveSegment, int, int]]:
        """Final segments that are as they were, and where they are in the text now."""
        unseen = [edit for edit in self._log if edit.revision > view.revision]
        hot = self._hot_ranges()
        first = min([start for _, start, _ in hot], default=0)
        last = max([end for _, _, end in hot], default=-1)
        for segment, start, end in view.finals():
            moved = _moved(start, end, unseen)
            if moved is None:
                continue
            start, end = moved
            doubtful = start <= last and end >= first
            if not doubtful or not any(
                edited > segment.revision and start <= to and end >= since for edited, since, to in hot
            ):
                yield segment, start, end

    def _hot_ranges(self) -> list[tuple[int, int, int]]:
        """(revision, start, end) in the text now of what each edit since the last done can have changed."""
        found: list[tuple[int, int, int]] = []
        for edit in self._log:
            found = [
                (revision, _place(start, edit, behind=False), _place(end, edit, behind=True))
                for revision, start, end in found
            ]
            grown = 0
            for splice in edit.splices:
                start = splice.start + grown
                found.append((edit.revision, start, start + len(splice.text) + CONTEXT))
                grown += len(splice.text) - (splice.end - splice.start)
        return found


def _moved(start: int, end: int, edits: Sequence[_Edit]) -> tuple[int, int] | None:
    """Where a range is after edits; None if one of them touches it."""
    for edit in edits:
        shift = 0
        for splice in edit.splices:
            if splice.start <= end and splice.end >= start:
                return None
            if splice.end < start:
                shift += len(splice.text) - (splice.end - splice.start)
        start, end = start + shift, end + shift
    return start, end


def _place(at: int, edit: _Edit, *, behind: bool) -> int:
    """Where a position is after an edit: behind what the edit put there, or before it."""
    shift = 0
    for splice in edit.splices:
        if at < splice.start or (at == splice.start and not behind):
            break
        if at > splice.end or (at == splice.end and behind):
            shift += len(splice.text) - (splice.end - splice.start)
        else:
            return splice.start + shift + (len(splice.text) if behind else 0)
    return at + shift
