"""WordPiece tokens with offsets, for checkpoints shaped like the reference.

A label replaces its token's span and gaps between tokens are copied, which is what the Hugging Face
token-classification pipeline (aggregation "none") followed by span replacement gives.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from hanjaserve.server.bundle import Manifest
from hanjaserve.server.codec.base import Decoded, Window
from hanjaserve.server.errors import BundleError
from hanjaserve.server.shapes import Int32, unpack_labels, unpack_scores


class WordCodec:
    """The codec of the `word` scheme; it is used from one thread."""

    def __init__(self, tokenizer: Path, manifest: Manifest) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        around = self._tokenizer.encode("").ids
        if len(around) != 2:
            raise BundleError(
                f"{tokenizer} adds {len(around)} special tokens, expected [CLS] and [SEP]"
            )
        self._first, self._last = around
        self._max_tokens = manifest.max_tokens
        self._context = manifest.context_tokens

    def encode(self, texts: Sequence[str], style: str) -> list[list[Window]]:
        """Windows on token boundaries; `style` has no meaning here."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        found = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [
            self._windows(
                np.array(e.ids, np.int32), np.array(e.offsets, np.int32).reshape(-1, 2)
            )
            for e in found
        ]

    def _windows(self, ids: Int32, offsets: Int32) -> list[Window]:
        total, room = len(ids), self._max_tokens - 2
        context = 0 if total <= room else self._context
        step = room - 2 * context
        windows = []
        for start in range(0, total, step):
            stop = min(total, start + step)
            left, right = max(0, start - context), min(total, stop + context)
            tokens = np.concatenate([[self._first], ids[left:right], [self._last]])
            windows.append(Window(tokens=tokens.astype(np.int32), start=start, stop=stop,
                                  skip=1 + start - left, offsets=offsets[start:stop]))  # fmt: skip
        return windows

    def decode(self, text: str, windows: Sequence[Window], candidates: Sequence[Int32]) -> Decoded:
        """Unit = token."""
        offsets = [w.offsets for w in windows if w.offsets is not None]
        spans = np.concatenate(offsets) if offsets else np.zeros((0, 2), np.int32)
        used = [
            c[w.skip : w.skip + w.stop - w.start] for w, c in zip(windows, candidates, strict=True)
        ]
        packed = np.concatenate(used) if used else np.zeros((0, 1), np.int32)
        return Decoded(start=spans[:, 0], end=spans[:, 1], labels=unpack_labels(packed),
                       scores=unpack_scores(packed))  # fmt: skip
