"""The ceiling: how fast the bare runner is, with nothing around it.

The texts are encoded beforehand, sorted by length and packed into large batches, so that hardly a token is
padding; no server can be faster with this runner. What the server reaches of it is its efficiency.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.runners.abreast import Abreast
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.shapes import Int32, pad, padded_length

BATCH_TOKENS = 1024
FIRST_TEXTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What the bare runner did.

    Attributes:
        texts_per_s: Texts per second; a text that needs several windows counts as one.
        code_points_per_s: Their code points per second.
        padding: The share of tokens that was padding.
    """

    texts_per_s: float
    code_points_per_s: float
    padding: float


class Raw:
    """The runner that the server would choose, in this process; idle unless it is measured."""

    def __init__(self, bundle_path: Path, texts: Sequence[str], *, threads: int = 0) -> None:
        self._bundle = Bundle.open(bundle_path)
        self._codec = make_codec(self._bundle)
        self._runner, _ = open_runner(self._bundle, "auto", threads)
        self._abreast = Abreast(self._runner)
        self._style = next(iter(self._bundle.manifest.styles), "modern")
        self._texts = texts
        self.name = self._runner.name
        # Also warms it up, for every length.
        self._texts_per_s = self._run(FIRST_TEXTS).texts_per_s

    def measure(self, seconds: float) -> Ceiling:
        """Run about as many texts as take that long, always the first ones."""
        ceiling = self._run(max(FIRST_TEXTS, int(self._texts_per_s * seconds)))
        self._texts_per_s = ceiling.texts_per_s
        return ceiling

    def close(self) -> None:
        """Give the runner back."""
        self._abreast.close()
        self._runner.close()

    def _run(self, number: int) -> Ceiling:
        chosen = [text for _ in range(-(-number // len(self._texts))) for text in self._texts][:number]
        windows = [window.tokens for part in self._codec.encode(chosen, self._style) for window in part]
        batches = pack(windows, BATCH_TOKENS, self._bundle.manifest.pad_id)
        started = time.perf_counter()
        for _ in self._abreast.run(batches):
            pass
        elapsed_s = time.perf_counter() - started
        used, padded = sum(map(len, windows)), sum(batch.size for batch in batches)
        return Ceiling(
            texts_per_s=number / elapsed_s,
            code_points_per_s=sum(map(len, chosen)) / elapsed_s,
            padding=1 - used / padded,
        )


def pack(windows: Sequence[Int32], batch_tokens: int, pad_id: int) -> list[Int32]:
    """Windows as padded batches int32 [batch, tokens] of similar length, shortest first."""
    batches: list[Int32] = []
    group: list[Int32] = []
    for window in sorted(windows, key=len):
        if group and padded_length(len(window)) * (len(group) + 1) > batch_tokens:
            batches.append(pad(group, pad_id))
            group = []
        group.append(window)
    return [*batches, pad(group, pad_id)] if group else batches
