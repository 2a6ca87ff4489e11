"""One token per code point: encoding is a copy, decoding a table look-up; no tokenizer anywhere."""

from collections.abc import Sequence

import numpy as np

from hanjaserve.server.bundle import Manifest
from hanjaserve.server.codec.base import Decoded, Window
from hanjaserve.server.codec.windows import cuts
from hanjaserve.server.errors import BadOption
from hanjaserve.server.labels import KEEP
from hanjaserve.server.shapes import Int32, unpack_labels, unpack_scores

FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3


class SyllableCodec:
    """The codec of the `syllable` scheme."""

    def __init__(self, manifest: Manifest) -> None:
        self._styles = dict(manifest.styles)
        self._max_tokens = manifest.max_tokens
        self._context = manifest.context_tokens

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """All texts in one go: joined, encoded as UTF-32, split again."""
        if style not in self._styles:
            known = ", ".join(sorted(self._styles))
            raise BadOption("style", f"style is {style[:32]!r}: this model knows {known}")
        joined = "".join(texts).encode("utf-32-le", "surrogatepass")
        points = np.frombuffer(joined, np.int32)
        # Below 0x20 are padding and styles; above 0xFFFF there is no Hangul.
        points = np.minimum(np.where(points < 0x20, 0x20, points), 0xFFFF).astype(np.int32)
        token = self._styles[style]
        windows, at = [], 0
        for text in texts:
            windows.append(self._windows(points[at : at + len(text)], token))
            at += len(text)
        return windows

    def _windows(self, points: Int32, style: int) -> list[Window]:
        total = len(points)
        if 0 < total < self._max_tokens:
            return [Window(tokens=_styled(style, points), start=0, stop=total, skip=1)]
        found = []
        for start, stop in cuts(points, self._max_tokens - 1 - 2 * self._context):
            left, right = max(0, start - self._context), min(total, stop + self._context)
            tokens = _styled(style, points[left:right])
            found.append(Window(tokens=tokens, start=start, stop=stop, skip=1 + start - left))
        return found

    def decode(self, text: str, windows: Sequence[Window], candidates: Sequence[Int32]) -> Decoded:
        """Unit = code point. Nothing but a Hangul syllable may change: the last guard of that."""
        if not windows:
            none = np.zeros((0, 1), np.int32)
            return Decoded(start=none[:, 0], end=none[:, 0], labels=none, scores=none.astype("f4"))
        used = [
            c[w.skip : w.skip + w.stop - w.start] for w, c in zip(windows, candidates, strict=True)
        ]
        packed = np.concatenate(used)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)
        other = (points < FIRST_SYLLABLE) | (points > LAST_SYLLABLE)
        labels = unpack_labels(packed)
        labels[other] = KEEP
        start = np.arange(len(points), dtype=np.int32)
        return Decoded(start=start, end=start + 1, labels=labels, scores=unpack_scores(packed))


def _styled(style: int, points: Int32) -> Int32:
    tokens = np.empty(len(points) + 1, np.int32)
    tokens[0] = style
    tokens[1:] = points
    return tokens
