"""The label table: what each label of the classifier puts in the place of a token.

A label is an index; label 0 is KEEP and leaves the text as it is. On disk the table is `labels.txt`,
UTF-8, one label per line in order: an empty first line in the syllable scheme, `[UNK]` in the word
scheme, where it is the reference's own name for "keep". What a label may be is checked by the bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

KEEP = 0
KEEP_NAMES = {"syllable": "", "word": "[UNK]"}
"""What label 0 is called, by scheme."""
MAX_LABELS = 0x7FFF
"""Labels share a signed 32-bit word with a 16-bit score."""

FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
"""Hangul syllables, 가 to 힣: the only code points that ever change in the syllable scheme."""


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """All labels, by index.

    Attributes:
        labels: What replaces a token; label 0 keeps it.

    Example:
        >>> LabelTable(labels=("", "首", "都")).labels[1]
        '首'
    """

    labels: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "LabelTable":
        """Read `labels.txt`.

        Raises:
            OSError: It can't be read.
            UnicodeDecodeError: It is not UTF-8.
        """
        # Not splitlines(): a label may be a character that it takes for the end of a line.
        lines = path.read_bytes().decode("utf-8").split("\n")
        return cls(labels=tuple(lines[:-1] if lines[-1] == "" else lines))

    def save(self, path: Path) -> None:
        """Write `labels.txt`."""
        content = "".join(f"{label}\n" for label in self.labels)
        path.write_text(content, encoding="utf-8", newline="\n")

    @cached_property
    def code_points(self) -> npt.NDArray[np.int32]:
        """Code point of every label, 0 for KEEP: int32 [labels]. Only for the syllable scheme."""
        return np.array([ord(label) if label else 0 for label in self.labels], dtype=np.int32)

    def fault(self, scheme: str) -> str | None:
        """Say what is wrong with the table for a scheme, or None if nothing is."""
        keep = KEEP_NAMES[scheme]
        if not self.labels or self.labels[KEEP] != keep:
            first = self.labels[0] if self.labels else None
            return f"label 0 is {first!r} instead of {keep!r}"
        if len(self.labels) > MAX_LABELS:
            return f"it has {len(self.labels)} labels, more than {MAX_LABELS}"
        return _syllable_fault(self.labels[1:]) if scheme == "syllable" else None


def _syllable_fault(labels: Sequence[str]) -> str | None:
    for number, label in enumerate(labels, start=1):
        if len(label) != 1 or FIRST_SYLLABLE <= ord(label) <= LAST_SYLLABLE:
            return f"label {number} is {label!r} instead of one Hanja"
    return None
