"""The syllable scheme: one token per code point, so that encoding is a copy and decoding a look-up.

Every window begins with a style token, a code point below 8. Control characters of the text become
spaces and code points beyond the Basic Multilingual Plane one and the same code point, in what the
engine sees only. The output differs from the input in Hangul syllables alone, and never in length.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from hanjaserve.server.bundle import Manifest
from hanjaserve.server.codec.base import Decoded, Window, answers_of, check_style
from hanjaserve.server.codec.windows import code_points_of, cuts, joined_starts, ranks_of
from hanjaserve.server.labels import FIRST_SYLLABLE, LAST_SYLLABLE, LabelTable
from hanjaserve.server.shapes import Int32, unpack_labels, unpack_scores

LEAST_CODE_POINT, MOST_CODE_POINT = 0x20, 0xFFFF
HEAD = "\0"
"""Holds the place of a style token."""


class SyllableCodec:
    """Encodes code points; see `codec.base.Codec`."""

    def __init__(self, manifest: Manifest, labels: LabelTable) -> None:
        self._styles: Mapping[str, int] = manifest.styles
        self._capacity = manifest.max_tokens - 1
        self._context = manifest.context_tokens
        self._top_k = manifest.top_k
        self._hanja = labels.code_points

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """See `Codec.encode`; all texts are encoded in one go."""
        check_style(style, self._styles)
        # Room for a style token before every text, so that most windows are slices of one array.
        rows = _tokens_of("".join([HEAD + text for text in texts]))
        lengths = [len(text) for text in texts]
        heads = list(accumulate(lengths, lambda head, length: head + length + 1, initial=0))[:-1]
        rows[heads] = self._styles[style]
        encoded = []
        for head, length in zip(heads, lengths, strict=True):
            row = rows[head : head + length + 1]
            if length > self._capacity:
                encoded.append(list(self._cut(row)))
            else:
                encoded.append([Window(row, 0, length, 1)] if length else [])
        return encoded

    def iter_windows(self, text: str, style: str) -> Iterator[Window]:
        """See `Codec.iter_windows`."""
        check_style(style, self._styles)
        head = np.array([self._styles[style]], dtype=np.int32)
        yield from self._cut(np.concatenate([head, _tokens_of(text)]))

    def _cut(self, row: Int32) -> Iterator[Window]:
        """Cut a style token and a text of any length."""
        head, tokens = row[:1], row[1:]
        for cut in cuts(ranks_of(tokens), self._capacity, self._context):
            yield Window(
                tokens=np.concatenate([head, tokens[cut.first : cut.last]]),
                start=cut.start,
                stop=cut.stop,
                row=1 + cut.start - cut.first,
            )

    def decode(
        self,
        text: str,
        windows: Sequence[Window],
        candidates: Sequence[Int32],
        origins: Sequence[int] = (),
    ) -> Decoded:
        """See `Codec.decode`."""
        answers = answers_of(windows, candidates, top_k=self._top_k, labels=len(self._hanja))
        begins = [window.start for window in windows]
        if origins:
            begins = [origin + begin for origin, begin in zip(origins, begins, strict=True)]
        start = joined_starts([window.units for window in windows], begins)
        labels = unpack_labels(answers)
        # The last guard: whatever an engine says, nothing but Hangul syllables ever changes.
        found = code_points_of(text)[start]
        # KEEP is 0, and a product takes a fifth of the time of setting rows by a mask.
        labels *= ((found >= FIRST_SYLLABLE) & (found <= LAST_SYLLABLE))[:, None]
        return Decoded(start=start, end=start + 1, labels=labels, scores=unpack_scores(answers))

    def replace(
        self,
        text: str,
        decoded: Decoded,
        chosen: npt.NDArray[np.bool_],
        bounds: Sequence[tuple[int, int]],
    ) -> list[str]:
        """See `Codec.replace`; the texts keep their lengths."""
        changed = code_points_of(text).copy()
        units = chosen.nonzero()[0]
        changed[decoded.start[units]] = self._hanja[decoded.labels[units, 0]]
        result = changed.tobytes().decode("utf-32-le", "surrogatepass")
        return [result[start:end] for start, end in bounds]


def _tokens_of(text: str) -> Int32:
    # Not clip(), which takes twice as long for a sentence.
    clipped = np.minimum(np.maximum(code_points_of(text), LEAST_CODE_POINT), MOST_CODE_POINT)
    return clipped.view(np.int32)
