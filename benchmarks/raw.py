"""The ceiling: how fast the bare runner is, with nothing around it.

The texts are encoded beforehand, sorted by length and packed into batches of the server's token budget,
so that hardly a token is padding; no server can be faster with this runner. What the server reaches
of it is its efficiency.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.shapes import Int32, pad, padded_length

FIRST_TEXTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What the bare runner did.

    Attributes:
        runner: Its name.
        texts_per_s: Texts per second; a text that needs several windows counts as one.
        code_points_per_s: Their code points per second.
        padding: The share of tokens that was padding.
    """

    runner: str
    texts_per_s: float
    code_points_per_s: float
    padding: float


def measure(
    bundle_path: Path, texts: Sequence[str], *, threads: int, batch_tokens: int, seconds: float
) -> Ceiling:
    """Run ever more texts until that takes long enough to be a measurement."""
    bundle = Bundle.open(bundle_path)
    codec = make_codec(bundle)
    runner, _ = open_runner(bundle, "auto", threads)
    style = next(iter(bundle.manifest.styles), "modern")
    number = FIRST_TEXTS
    try:
        while True:
            chosen = list(islice(cycle(texts), number))
            windows = [window.tokens for part in codec.encode(chosen, style) for window in part]
            batches = pack(windows, batch_tokens, bundle.manifest.pad_id)
            started = time.perf_counter()
            for batch in batches:
                runner.run(batch)
            elapsed_s = time.perf_counter() - started
            if elapsed_s >= seconds / 2:
                break
            number = max(2 * number, int(0.8 * number * seconds / elapsed_s))
    finally:
        runner.close()
    used, padded = sum(map(len, windows)), sum(batch.size for batch in batches)
    return Ceiling(
        runner=runner.name,
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
