"""Choose which lengths share a batch with a given entry, so that little of it is padding.

All that waits is divided into groups of neighbouring lengths, such that running all of them costs
least: every entry is padded to the longest of its group, and every batch costs `overhead_tokens`
besides. The entry shares a batch with its group. Lengths 8, 8, 8, 512 thus make two batches,
lengths 24, 32, 32 one. (Taking whatever makes the next batch the least wasteful by itself, one would
put an 8 beside the 512, because large batches amortize their overhead.)

Pure arithmetic on lengths; batcher.py picks the entries.
"""

from collections.abc import Mapping, Sequence

Plan = list[tuple[int, int]]


def companions(head: int, waiting: Mapping[int, int], max_tokens: int, overhead_tokens: int) -> Plan:
    """Choose the companions of an entry: how many entries of which lengths.

    Args:
        head: Length of the entry that must be in the batch.
        waiting: Entries per length, the head among them.
        max_tokens: What the batch may cost, padding included; a longer head goes alone.
        overhead_tokens: What a batch costs besides.

    Returns:
        (length, entries) without the head: its own length, the longer, the shorter.

    Example:
        >>> companions(8, {8: 3, 512: 1}, max_tokens=1024, overhead_tokens=64)
        [(8, 2)]
    """
    lengths = sorted(waiting)
    counts = [waiting[length] for length in lengths]
    at = lengths.index(head)
    first, last = _group(at, lengths, counts, max_tokens, overhead_tokens)
    counts[at] -= 1
    plan: Plan = []
    size, longest = 1, head
    for index in [*range(at, last + 1), *range(at - 1, first - 1, -1)]:
        padded = max(longest, lengths[index])
        count = min(counts[index], max_tokens // padded - size)
        if count > 0:
            plan.append((lengths[index], count))
            size, longest = size + count, padded
    return plan


def _group(
    at: int, lengths: Sequence[int], counts: Sequence[int], max_tokens: int, overhead_tokens: int
) -> tuple[int, int]:
    """First and last index of the group of `at` in the cheapest division of ascending lengths."""
    costs, firsts = [0], []  # of the cheapest division of all lengths before; where its last group begins
    for last, longest in enumerate(lengths):
        room = max(1, max_tokens // longest)
        size = 0
        best, best_first = -1, last
        for first in range(last, -1, -1):
            # Those would rather have a batch of their own; and then so would all that are shorter.
            if counts[first] * (longest - lengths[first]) > overhead_tokens:
                break
            size += counts[first]
            cost = costs[first] + longest * size + overhead_tokens * -(-size // room)
            if best < 0 or cost < best:
                best, best_first = cost, first
        costs.append(best)
        firsts.append(best_first)
    last = len(lengths) - 1
    while firsts[last] > at:
        last = firsts[last] - 1
    return firsts[last], last
