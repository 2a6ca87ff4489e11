"""The word scheme: a subword tokenizer, and labels that replace a token's whole span.

Follows the Hugging Face token-classification pipeline without aggregation: the label of every token
that is not special takes the place of `text[start:end]`, `[UNK]` leaves it, and what lies between
tokens is copied. Where the pipeline cuts off what the model can't hold, this codec makes windows.

Not: the tokenizer's own truncation and padding, which are turned off.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from hanjaserve.server.bundle import FIX, Manifest
from hanjaserve.server.codec.base import Decoded, Window, answers_of, check_style
from hanjaserve.server.codec.windows import chunks, code_points_of, cuts, ranks_of
from hanjaserve.server.errors import BundleError
from hanjaserve.server.labels import LabelTable
from hanjaserve.server.shapes import Int32, unpack_labels, unpack_scores

LONGEST_CHUNK = 16_384
"""Code points that are tokenized in one go; longer texts in chunks, so that none takes long."""


class WordCodec:
    """Encodes subwords; see `codec.base.Codec`. The tokenizer is its own."""

    def __init__(self, tokenizer: Tokenizer, manifest: Manifest, labels: LabelTable) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._prefix, self._suffix = _special_tokens(tokenizer)
        self._capacity = manifest.max_tokens - len(self._prefix) - len(self._suffix)
        self._context = manifest.context_tokens
        self._top_k = manifest.top_k
        self._styles = manifest.styles
        self._labels = labels.labels
        self._surrogates = re.compile("[\ud800-\udfff]")

    @classmethod
    def open(cls, path: Path, manifest: Manifest, labels: LabelTable) -> "WordCodec":
        """Read `tokenizer.json`.

        Raises:
            BundleError: It is not a tokenizer.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more specific
            raise BundleError(f"{path} is no tokenizer ({error}): {FIX}") from error
        return cls(tokenizer, manifest, labels)

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """See `Codec.encode`."""
        check_style(style, self._styles)
        short = [text for text in texts if len(text) <= LONGEST_CHUNK]
        encodings = iter(self._tokenize(short))
        return [
            list(self._cut(text, 0, len(text), next(encodings)))
            if len(text) <= LONGEST_CHUNK
            else list(self.iter_windows(text, style))
            for text in texts
        ]

    def iter_windows(self, text: str, style: str) -> Iterator[Window]:
        """See `Codec.iter_windows`; windows have no context across chunks."""
        check_style(style, self._styles)
        for start, end in chunks(text, LONGEST_CHUNK):
            (encoding,) = self._tokenize([text[start:end]])
            yield from self._cut(text, start, end, encoding)

    def _tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        # The tokenizer takes no lone surrogates; any other character that means nothing will do.
        clean = [self._surrogates.sub("\ufffd", text) for text in texts]
        found: list[Encoding] = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return found

    def _cut(self, text: str, start: int, end: int, encoding: Encoding) -> Iterator[Window]:
        """Windows of text[start:end], which was tokenized by itself."""
        ids = np.array(encoding.ids, dtype=np.int32)
        if len(ids) == 0:
            return
        offsets = np.array(encoding.offsets, dtype=np.int32) + np.int32(start)
        if len(ids) <= self._capacity:
            ranks = np.zeros(len(ids), dtype=np.uint8)
        else:
            ranks = _token_ranks(text[start:end], offsets - np.int32(start))
        for cut in cuts(ranks, self._capacity, self._context):
            yield Window(
                tokens=np.concatenate([self._prefix, ids[cut.first : cut.last], self._suffix]),
                start=int(offsets[cut.start, 0]) if cut.start else start,
                stop=int(offsets[cut.stop, 0]) if cut.stop < len(ids) else end,
                row=len(self._prefix) + cut.start - cut.first,
                offsets=offsets[cut.start : cut.stop],
            )

    def decode(
        self,
        text: str,
        windows: Sequence[Window],
        candidates: Sequence[Int32],
        origins: Sequence[int] = (),
    ) -> Decoded:
        """See `Codec.decode`."""
        answers = answers_of(windows, candidates, top_k=self._top_k, labels=len(self._labels))
        parts = [np.zeros((0, 2), dtype=np.int32)]
        for window, origin in zip(windows, origins or [0] * len(windows), strict=True):
            if window.offsets is not None:
                parts.append(window.offsets + np.int32(origin))
        offsets = np.concatenate(parts)
        return Decoded(
            start=offsets[:, 0],
            end=offsets[:, 1],
            labels=unpack_labels(answers),
            scores=unpack_scores(answers),
        )

    def replace(
        self,
        text: str,
        decoded: Decoded,
        chosen: npt.NDArray[np.bool_],
        bounds: Sequence[tuple[int, int]],
    ) -> list[str]:
        """See `Codec.replace`; texts may change their lengths."""
        units = np.flatnonzero(chosen)
        starts, ends = decoded.start[units], decoded.end[units]
        spellings = [self._labels[label] for label in decoded.labels[units, 0].tolist()]
        results = []
        for first, last in bounds:
            # A unit may be empty and sit at the very end of its text.
            low, high = np.searchsorted(starts, [first, last + 1]).tolist()
            done = first
            parts: list[str] = []
            for i in range(low, high):
                parts += (text[done : starts[i]], spellings[i])
                done = int(ends[i])
            results.append("".join([*parts, text[done:last]]))
        return results


def _special_tokens(tokenizer: Tokenizer) -> tuple[Int32, Int32]:
    """What the tokenizer puts before and after a text, such as [CLS] and [SEP]."""
    probe = tokenizer.encode("가", add_special_tokens=True)
    ids = np.array(probe.ids, dtype=np.int32)
    own = np.flatnonzero(np.array(probe.special_tokens_mask) == 0)
    if len(own) == 0:
        return ids[:1], ids[1:]
    return ids[: own[0]], ids[own[-1] + 1 :]


def _token_ranks(text: str, offsets: Int32) -> npt.NDArray[np.uint8]:
    """How good it is to cut before each token: as good as before its first code point."""
    ranks = ranks_of(code_points_of(text))
    return ranks[np.minimum(offsets[:, 0], len(ranks) - 1)]
