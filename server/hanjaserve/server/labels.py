"""The label table: what every class id of a model stands for. Label 0 is KEEP."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanjaserve.server.errors import BundleError

KEEP = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """One string per label.

    Attributes:
        labels: Syllable scheme: one Hanja each, label 0 empty. Word scheme: the replacement of the
            token's span, label 0 "[UNK]".
    """

    labels: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "LabelTable":
        """Reads labels.txt, one label a line."""
        found = path.read_text(encoding="utf-8").split("\n")
        if found and found[-1] == "":
            found.pop()
        if not found:
            raise BundleError(f"{path} holds no labels: publish the bundle again")
        return cls(labels=tuple(found))

    def code_points(self) -> NDArray[np.int32]:
        """int32 [labels]: the code point of each one-character label, 0 for KEEP."""
        return np.array([ord(label) if len(label) == 1 else 0 for label in self.labels], np.int32)
