"""What a runner must show before it goes live.

It converts the bundle's reference sentences as PyTorch did, gives identical rows identical results and
permuted rows permuted results, over the shortest and a long shape: silent wrong rows have happened
(NVIDIA/TensorRT issues 4813 and 4796).
"""

import json

import numpy as np

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.labels import KEEP
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.shapes import Int32, pad, unpack_labels

STYLE = "modern"


def self_test(runner: Runner, bundle: Bundle) -> None:
    """Raises RuntimeFault with the first thing that is wrong."""
    stored = json.loads(bundle.path("reference.json").read_text(encoding="utf-8"))
    codec, labels = make_codec(bundle), bundle.labels().labels
    texts = [item["text"] for item in stored]
    rows: list[Int32] = []
    for item, windows in zip(stored, codec.encode(texts, STYLE), strict=True):
        outputs = [runner.run(pad([w.tokens], bundle.manifest.pad_id))[0] for w in windows]
        decoded = codec.decode(item["text"], windows, outputs)
        out, at = [], 0
        for start, end, label in zip(
            decoded.start.tolist(), decoded.end.tolist(), decoded.labels[:, 0].tolist(), strict=True
        ):
            out.append(item["text"][at:start])
            out.append(item["text"][start:end] if label == KEEP else labels[label])
            at = end
        converted = "".join(out) + item["text"][at:]
        if converted != item["converted"]:
            raise RuntimeFault(
                f"{runner.name} disagrees with the stored reference: {item['text']!r} gave "
                f"{converted!r}, expected {item['converted']!r}"
            )
        rows += [window.tokens for window in windows]
    if rows:
        _check_rows(runner, rows, bundle.manifest.pad_id)


def _check_rows(runner: Runner, rows: list[Int32], pad_id: int) -> None:
    batch = pad([*rows, rows[0], rows[0]], pad_id)
    result = unpack_labels(runner.run(batch))[..., 0]
    if not (result[-1] == result[-2]).all():
        raise RuntimeFault(f"{runner.name} gives different results for identical rows")
    backwards = unpack_labels(runner.run(np.ascontiguousarray(batch[::-1])))[..., 0]
    if not (backwards[::-1] == result).all():
        raise RuntimeFault(f"{runner.name} gives results that depend on the order of rows")
