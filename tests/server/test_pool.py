import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from hanjaserve.server.batcher import Batcher, Priority
from hanjaserve.server.errors import DeadlineExpired, Draining, Overloaded, RuntimeFault
from hanjaserve.server.pool import Pool
from hanjaserve.server.shapes import Int32
from hanjaserve.server.timing import CURRENT, FLOW, Timing

from .fakes import POISON, FakeRunner, expected


def array(length: int, value: int = 1) -> Int32:
    return np.full(length, value, dtype=np.int32)


@asynccontextmanager
async def open_pool(
    *runners: FakeRunner, budget: int = 64, queue: int = 100_000
) -> AsyncIterator[tuple[Pool, Batcher]]:
    batcher = Batcher(max_batch_tokens=budget, max_queue_tokens=queue)
    async with Pool(list(runners), batcher, pad_id=0, top_k=2) as pool:
        try:
            yield pool, batcher
        finally:
            for runner in runners:
                runner.gate.set()


async def entered(runner: FakeRunner) -> None:
    assert await asyncio.to_thread(runner.entered.acquire, timeout=10)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_outputs_come_back_in_order_and_without_padding() -> None:
    runner = FakeRunner()
    rng = np.random.default_rng(0)
    arrays = [rng.integers(1, 600, n, dtype=np.int32) for n in rng.integers(1, 60, 200)]
    async with open_pool(runner) as (pool, batcher):
        outputs = await pool.run(arrays)
        assert (len(batcher), batcher.queued_tokens, batcher.running_tokens) == (0, 0, 0)
    for given, output in zip(arrays, outputs, strict=True):
        np.testing.assert_array_equal(output, expected(given))
    assert all(rows * width <= 64 for rows, width in runner.batches)
    assert all(width % 8 == 0 for _, width in runner.batches)


async def test_runner_is_used_and_closed_by_one_thread() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        await asyncio.gather(*(pool.run([array(5)]) for _ in range(20)))
    assert runner.closed
    assert len(runner.threads) == 1


async def test_nothing_to_do() -> None:
    async with open_pool(FakeRunner()) as (pool, _):
        assert await pool.run([]) == []


async def test_calls_of_one_turn_share_a_batch() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        await asyncio.gather(*(pool.run([array(8)]) for _ in range(8)))
    assert runner.batches == [(8, 8)]


async def test_idle_runner_does_not_wait_for_company() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        started = time.monotonic()
        await pool.run([array(8)])
        assert time.monotonic() - started < 0.5
    assert runner.batches == [(1, 8)]


async def test_full_batch_is_prefetched_and_a_smaller_one_stays_open() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, batcher):
        runner.gate.clear()
        first = asyncio.create_task(pool.run([array(8)]))
        await entered(runner)
        second = asyncio.create_task(pool.run([array(8)] * 4))
        await settle()
        assert batcher.queued_tokens == 32  # could still grow
        third = asyncio.create_task(pool.run([array(8)] * 8))
        await settle()
        assert batcher.queued_tokens == 32  # 64 of 96 went ahead
        runner.gate.set()
        await asyncio.gather(first, second, third)
    assert runner.batches == [(1, 8), (8, 8), (4, 8)]


async def test_urgent_entry_overtakes_a_prefetched_batch() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, batcher):
        runner.gate.clear()
        bulk = asyncio.create_task(pool.run([array(16)] * 12, priority=Priority.BULK))
        await entered(runner)
        await settle()
        assert batcher.queued_tokens == 64  # 64 of 192 run, 64 are prefetched
        urgent = asyncio.create_task(pool.run([array(40)]))
        await settle()
        runner.gate.set()
        await asyncio.gather(bulk, urgent)
    assert runner.batches == [(4, 16), (1, 40), (4, 16), (4, 16)]


async def test_call_of_another_flow_overtakes_the_prefetched_batch_of_a_flood() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        runner.gate.clear()
        flood = asyncio.create_task(flowing("flood", pool.run([array(16)] * 12)))
        await entered(runner)
        more = asyncio.create_task(flowing("flood", pool.run([array(24)])))
        await settle()
        calm = asyncio.create_task(flowing("calm", pool.run([array(40)])))
        await settle()
        runner.gate.set()
        await asyncio.gather(flood, calm, more)
    assert runner.batches == [(4, 16), (1, 40), (4, 16), (4, 16), (1, 24)]


async def flowing(flow: str, run: Awaitable[list[Int32]]) -> list[Int32]:
    FLOW.set(flow)  # in the context of a task
    return await run


async def test_call_that_leaves_is_not_computed_even_if_prefetched() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, batcher):
        runner.gate.clear()
        first = asyncio.create_task(pool.run([array(8)]))
        await entered(runner)
        second = asyncio.create_task(pool.run([array(8)] * 8))
        await settle()
        assert len(batcher) == 0  # prefetched
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await settle()
        assert (len(batcher), batcher.running_tokens) == (0, 8)
        runner.gate.set()
        await first
    assert runner.batches == [(1, 8)]


async def test_two_runners_work_at_the_same_time() -> None:
    runners = FakeRunner(), FakeRunner()
    async with open_pool(*runners) as (pool, _):
        for runner in runners:
            runner.gate.clear()
        call = asyncio.create_task(pool.run([array(64), array(64)]))
        for runner in runners:
            await entered(runner)
        for runner in runners:
            runner.gate.set()
        await call
    assert [runner.batches for runner in runners] == [[(1, 64)], [(1, 64)]]


async def test_cancelled_call_frees_its_entries_at_once() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, batcher):
        runner.gate.clear()
        first = asyncio.create_task(pool.run([array(8)]))
        await entered(runner)
        second = asyncio.create_task(pool.run([array(8)] * 3))
        await settle()
        assert len(batcher) == 3
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert len(batcher) == 0
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        runner.gate.set()
        await pool.run([array(3)])  # the late result of the first harms nobody
    assert runner.batches == [(1, 8), (1, 8)]


async def test_deadline_ends_the_call_and_frees_the_queue() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, batcher):
        runner.gate.clear()
        first = asyncio.create_task(pool.run([array(8)]))
        await entered(runner)
        with pytest.raises(DeadlineExpired):
            await pool.run([array(8)], deadline=time.monotonic() + 0.02)
        assert len(batcher) == 0
        runner.gate.set()
        await first
    assert runner.batches == [(1, 8)]


async def test_deadline_while_running() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        runner.gate.clear()
        with pytest.raises(DeadlineExpired):
            await pool.run([array(8)], deadline=time.monotonic() + 0.02)


async def test_poisoned_entry_alone_fails() -> None:
    runner = FakeRunner()
    arrays = [array(8, value) for value in range(1, 9)]
    arrays[5] = array(8, POISON)
    async with open_pool(runner) as (pool, _):
        outcomes = await pool.run_each(arrays)
        assert [isinstance(outcome, RuntimeFault) for outcome in outcomes] == [
            index == 5 for index in range(8)
        ]
        np.testing.assert_array_equal(outcomes[7], expected(arrays[7]))
        with pytest.raises(RuntimeFault, match="failed on this text"):
            await pool.run(arrays)
        await pool.run([array(8)])  # and the runner lives on


async def test_neighbouring_calls_survive_poison() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        good, bad = await asyncio.gather(
            pool.run([array(8)]), pool.run([array(8, POISON)]), return_exceptions=True
        )
    assert isinstance(bad, RuntimeFault)
    assert not isinstance(good, BaseException)
    np.testing.assert_array_equal(good[0], expected(array(8)))


async def test_wrong_shape_is_a_fault() -> None:
    async with open_pool(FakeRunner(wrong_shape=True)) as (pool, _):
        with pytest.raises(RuntimeFault):
            await pool.run([array(8)])


async def test_full_queue_refuses() -> None:
    async with open_pool(FakeRunner(), queue=64) as (pool, batcher):
        with pytest.raises(Overloaded):
            await pool.run([array(8)] * 9)
        assert len(batcher) == 0


async def test_drain_finishes_what_is_under_way_and_refuses_the_rest() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        runner.gate.clear()
        call = asyncio.create_task(pool.run([array(8)] * 20))
        await entered(runner)
        drained = asyncio.create_task(pool.drain())
        await settle()
        assert not drained.done()
        with pytest.raises(Draining):
            await pool.run([array(8)])
        runner.gate.set()
        await drained
        assert len(await call) == 20


async def test_priorities_reach_the_batcher() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        runner.gate.clear()
        first = asyncio.create_task(pool.run([array(8)]))
        await entered(runner)
        bulk = asyncio.create_task(pool.run([array(40)], priority=Priority.BULK))
        await settle()
        urgent = asyncio.create_task(pool.run([array(16)]))
        await settle()
        runner.gate.set()
        await asyncio.gather(first, bulk, urgent)
    assert runner.batches == [(1, 8), (1, 16), (1, 40)]


async def test_timing_is_reported() -> None:
    runner = FakeRunner()
    async with open_pool(runner) as (pool, _):
        timing = Timing()
        token = CURRENT.set(timing)
        await pool.run([array(5), array(6)])
        CURRENT.reset(token)
    assert timing.tokens == 11
    assert timing.run_us > 0


@pytest.mark.parametrize("entries", [256])
async def test_overhead_per_batch_is_small(entries: int) -> None:
    """The limit is generous, for slow and busy machines; about 1 ms is usual."""
    arrays = [array(24) for _ in range(entries)]
    async with open_pool(FakeRunner(), budget=entries * 24) as (pool, _):
        best = 1.0
        for _ in range(10):
            started = time.perf_counter()
            await pool.run(arrays)
            best = min(best, time.perf_counter() - started)
    print(f"{best * 1e3:.2f} ms")
    assert best < 0.02


def test_a_runner_that_comes_back_after_the_end_is_no_error() -> None:
    async def ended() -> Pool:
        async with open_pool(FakeRunner()) as (pool, _):
            return pool

    pool = asyncio.run(ended())
    # Its loop is closed; the thread of a runner that hung does this whenever it pleases.
    pool._hand_over(object(), object(), [], 0.0)  # type: ignore[arg-type]
