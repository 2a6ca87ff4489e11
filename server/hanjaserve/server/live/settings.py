"""What a live session is configured with, and what the server allows it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hanjaserve.server.errors import BadOption, LimitReached
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.live.cutting import Segmentation
from hanjaserve.server.live.offsets import OffsetUnit
from hanjaserve.server.messages import one_of, options_from
from hanjaserve.server.options import Options
from hanjaserve.v1 import hanjaserve_pb2 as pb

OFFSET_UNITS = {
    pb.OFFSET_UNIT_UNSPECIFIED: OffsetUnit.CODE_POINT,
    pb.OFFSET_UNIT_CODE_POINT: OffsetUnit.CODE_POINT,
    pb.OFFSET_UNIT_UTF16: OffsetUnit.UTF16,
}
SEGMENTATIONS = {
    pb.SEGMENTATION_UNSPECIFIED: Segmentation.SENTENCE,
    pb.SEGMENTATION_SENTENCE: Segmentation.SENTENCE,
    pb.SEGMENTATION_LINE: Segmentation.LINE,
}
TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}")
SEGMENT_COST = 32
"""Code points that a segment counts for beside its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBounds:
    """What a session may do.

    Attributes:
        code_points: Of a document.
        edits_per_s: Faster clients are read more slowly.
        interim_per_s: How often segments are converted that are not final yet.
        splices: Of an edit.
        rejections: In a row, after which the session ends.
    """

    code_points: int = 1_000_000
    edits_per_s: int = 200
    interim_per_s: int = 50
    splices: int = 1_024
    rejections: int = 64

    @property
    def segments(self) -> int:
        """Of a document: sentences of eight code points on average."""
        return max(1_024, self.code_points // 8)

    def message(self) -> pb.LiveLimits:
        """What a client is told."""
        return pb.LiveLimits(
            max_code_points=self.code_points,
            max_segments=self.segments,
            max_edits_per_s=self.edits_per_s,
            max_interim_per_s=self.interim_per_s,
            max_splices=self.splices,
        )


class LiveBudget:
    """How much text all sessions of a server may hold together, in code points."""

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit

    def check(self, more: int) -> None:
        """See whether so much more is allowed.

        Raises:
            LimitReached: It is not.
        """
        if self.used + more > self._limit:
            raise LimitReached(
                f"all live documents together have {self.used} code points, and {more} more exceed the "
                f"limit of {self._limit}: close some, or start the server with a larger "
                "--max-live-total-code-points"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How one session works.

    Attributes:
        options: How to convert.
        unit: What offsets count.
        segmentation: Where segments end.
        finals_only: Convert a segment only when it is closed.
        interim_s: Seconds between two conversions, at least.
        resume: What the client knows of an earlier session.
    """

    options: Options
    unit: OffsetUnit
    segmentation: Segmentation
    finals_only: bool
    interim_s: float
    resume: pb.LiveResume | None

    @classmethod
    def read(
        cls, config: pb.LiveConfig, bounds: LiveBounds, styles: Collection[str], glossaries: Glossaries
    ) -> "LiveSettings":
        """Check the first message of a session.

        Raises:
            BadOption: Names the field, its value and what is allowed.
            NotFound: There is no glossary of that id.
            StateChanged: It has another version.
        """
        rate = config.max_interim_per_s or bounds.interim_per_s
        resume = config.resume if config.HasField("resume") else None
        if resume and not TOKEN.fullmatch(resume.resume_token):
            message = f"resume.resume_token is {resume.resume_token[:64]!r}: send that of started or go_away"
            raise BadOption("resume.resume_token", message)
        return cls(
            options=options_from(config.options, styles, glossaries),
            unit=one_of(OFFSET_UNITS, "offset_unit", "OffsetUnit", config.offset_unit),
            segmentation=one_of(SEGMENTATIONS, "segmentation", "Segmentation", config.segmentation),
            finals_only=config.finals_only,
            interim_s=1 / min(rate, bounds.interim_per_s),
            resume=resume,
        )
