"""How much padding a choice of bucket lengths costs: `python -m benchmarks.buckets`.

The texts of the benchmark's mix wait in the server's own batcher; every batch that it forms is padded to
its bucket. Counts tokens, measures no time, and needs neither a GPU nor a model that runs.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.texts import load_mix
from hanjaserve.models import default_bundle_path
from hanjaserve.server.batcher import Batcher, Entry
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.options import DEFAULT_STYLE
from hanjaserve.server.runners.buckets import LENGTHS, MAX_BATCH_TOKENS, BucketTable, parse_lengths

CHOICES = (
    "8,16,24,32,40,48,56,64,80,96,112,128,160,192,224,256,320,384,448,512",
    ",".join(map(str, LENGTHS)),
    "16,32,64,96,128,192,256,384,512",
    "16,32,64,128,256,512",
    "64,128,256,512",
    "128,512",
    "512",
)
LOADS = {"full queue": 4096, "64 waiting": 64, "8 waiting": 8}
"""How many texts wait whenever a batch is formed."""
SEED = 7


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table: share of computed tokens that is padding, and how many buckets there are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buckets", description=__doc__)
    parser.add_argument("--lengths", action="append", help="a choice, as 32,64,512; may be repeated")
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--max-batch-tokens", type=int, default=MAX_BATCH_TOKENS)
    arguments = parser.parse_args(argv)
    bundle = Bundle.open(arguments.bundle)
    mix = load_mix()
    encoded = make_codec(bundle).encode(list(mix.texts), DEFAULT_STYLE)
    tokens = [len(window.tokens) for windows in encoded for window in windows]
    print(
        f"{len(tokens):,} windows of the {mix.source} mix, {sum(tokens) / len(tokens):.0f} tokens on average"
    )
    print("buckets  " + "".join(f"{name:>12}" for name in LOADS) + "  lengths")
    for choice in arguments.lengths or CHOICES:
        table = BucketTable.for_model(
            bundle.manifest.max_tokens, arguments.max_batch_tokens, parse_lengths(choice)
        )
        shares = "".join(f"{padding(tokens, table, waiting):12.1%}" for waiting in LOADS.values())
        print(f"{len(table.buckets):7}  {shares}  {','.join(map(str, table.lengths))}")
    return 0


def padding(tokens: Sequence[int], table: BucketTable, waiting: int) -> float:
    """The share of computed tokens that is padding, of rows and of whole batches.

    Args:
        tokens: Of every entry, in the order of arrival.
        table: The buckets.
        waiting: Entries in the queue whenever a batch is formed.
    """
    order = list(tokens)
    random.Random(SEED).shuffle(order)
    batcher = Batcher(
        max_batch_tokens=table.max_batch_tokens, max_queue_tokens=2**60, length_of=table.length_of
    )
    computed, coming, now = 0, iter(order), 0.0
    while True:
        for count in coming:
            batcher.put(Entry(tokens=count, enqueued_at=now))
            if len(batcher) >= waiting:
                break
        batch = batcher.next_batch(now)
        if batch is None:
            return 1 - sum(order) / computed
        now += 1e-3
        longest = max(entry.tokens for entry in batch.entries)
        for part in table.split(len(batch.entries), longest):
            bucket = table.fit(part.stop - part.start, longest)
            computed += bucket.rows * bucket.tokens


if __name__ == "__main__":
    sys.exit(main())
