from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from hanjaserve.server.companions import companions

LENGTHS = st.sampled_from([8, 16, 24, 40, 64, 96])
WAITING = st.dictionaries(LENGTHS, st.integers(1, 6), min_size=1)


def divisions(lengths: list[int]) -> Iterator[list[list[int]]]:
    """All ways to divide ascending lengths into groups of neighbours."""
    if not lengths:
        yield []
    for size in range(1, len(lengths) + 1):
        for rest in divisions(lengths[size:]):
            yield [lengths[:size], *rest]


def cost(groups: list[list[int]], waiting: dict[int, int], max_tokens: int, overhead: int) -> int:
    total = 0
    for group in groups:
        size = sum(waiting[length] for length in group)
        batches = -(-size // max(1, max_tokens // group[-1]))
        total += group[-1] * size + overhead * batches
    return total


@given(WAITING, st.integers(0, 200))
@settings(max_examples=150, deadline=None)
def test_groups_are_the_cheapest_division(waiting: dict[int, int], overhead: int) -> None:
    budget = 10**9  # so that it hides no companion
    found: list[list[int]] = []
    for head in sorted(waiting):
        mates = sorted({head, *(length for length, _ in companions(head, waiting, budget, overhead))})
        if mates not in found:
            found.append(mates)
    assert [length for group in found for length in group] == sorted(waiting)
    best = min(cost(groups, waiting, budget, overhead) for groups in divisions(sorted(waiting)))
    assert cost(found, waiting, budget, overhead) == best


@given(WAITING, st.integers(8, 2000), st.integers(0, 200), st.data())
def test_budget_and_numbers_are_kept(
    waiting: dict[int, int], max_tokens: int, overhead: int, data: st.DataObject
) -> None:
    head = data.draw(st.sampled_from(sorted(waiting)))
    plan = companions(head, waiting, max_tokens, overhead)
    others = {**waiting, head: waiting[head] - 1}
    assert all(0 < count <= others[length] for length, count in plan)
    size = 1 + sum(count for _, count in plan)
    assert size == 1 or size * max([head, *(length for length, _ in plan)]) <= max_tokens


def test_lengths_that_differ_much_do_not_share_a_batch() -> None:
    assert companions(8, {8: 3, 512: 1}, 2048, 64) == [(8, 2)]


def test_lengths_that_differ_little_do() -> None:
    assert companions(24, {24: 1, 32: 2}, 2048, 64) == [(32, 2)]


def test_what_does_not_fit_is_left() -> None:
    assert companions(8, {8: 4, 16: 9}, 64, 64) == [(8, 3)]
