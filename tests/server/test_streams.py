"""A runner that several threads may call at once: batches run side by side, and what waits is shared out."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from hanjaserve.server.batcher import Batcher
from hanjaserve.server.cores import usable_cores
from hanjaserve.server.crew import Watch
from hanjaserve.server.pool import Pool
from hanjaserve.server.runners.abreast import Abreast
from hanjaserve.server.shapes import Int32

from .fakes import FakeRunner, expected
from .test_crew import Log, check, following
from .test_pool import array, entered


class Streams(FakeRunner):
    """A ParallelRunner, whose calls for long rows wait until the test lets them go on."""

    def __init__(self, streams: int = 2) -> None:
        super().__init__()
        self.streams = streams
        self.running = self.most = 0
        self.lock = threading.Lock()
        self.slow = threading.Event()
        self.slow.set()
        self.wrong = False

    def run(self, tokens: Int32) -> Int32:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.add(threading.get_ident())
            self.batches.append((tokens.shape[0], tokens.shape[1]))
        self.entered.release()
        try:
            assert self.gate.wait(10)
            assert tokens.shape[1] < 32 or self.slow.wait(10)
        finally:
            with self.lock:
                self.running -= 1
        return np.stack([tokens * 2, tokens * 2 + 1 + self.wrong], axis=-1)


@asynccontextmanager
async def pool_of(
    runner: Streams, *others: FakeRunner, patience_s: float = 10.0
) -> AsyncIterator[tuple[Pool, Log]]:
    log = Log()
    batcher = Batcher(
        max_batch_tokens=64, max_queue_tokens=100_000, overhead_tokens=8, runners=runner.streams
    )
    watch = Watch(patience_s=patience_s, check=check, check_every_s=0, replace=following(*others))
    async with Pool([runner], batcher, pad_id=0, top_k=2, observer=log, watch=watch) as pool:
        try:
            yield pool, log
        finally:
            runner.gate.set()
            runner.slow.set()


async def test_a_short_text_does_not_wait_for_a_long_one() -> None:
    runner = Streams()
    runner.slow.clear()
    async with pool_of(runner) as (pool, _):
        slow = asyncio.create_task(pool.run([array(32)]))
        await entered(runner)
        np.testing.assert_array_equal((await pool.run([array(8, 5)]))[0], expected(array(8, 5)))
        assert not slow.done()
        runner.slow.set()
        await slow
    assert runner.most == 2 and runner.closed


async def test_what_waits_is_shared_out_among_free_streams() -> None:
    runner = Streams()
    runner.gate.clear()
    async with pool_of(runner) as (pool, _):
        call = asyncio.create_task(pool.run([array(8, n + 1) for n in range(6)]))
        await entered(runner)
        await entered(runner)
        assert runner.batches == [(3, 8), (3, 8)]
        runner.gate.set()
        await call


async def test_a_busy_stream_gets_no_share() -> None:
    runner = Streams()
    runner.slow.clear()
    async with pool_of(runner) as (pool, _):
        slow = asyncio.create_task(pool.run([array(32)]))
        await entered(runner)
        await pool.run([array(8, n + 1) for n in range(6)])
        assert (6, 8) in runner.batches
        runner.slow.set()
        await slow


async def test_answers_of_many_calls() -> None:
    runner = Streams(3)
    async with pool_of(runner) as (pool, _):
        arrays = [array(1 + n % 31, n + 1) for n in range(200)]
        outputs = await asyncio.gather(*(pool.run([one]) for one in arrays))
        for given, output in zip(arrays, outputs, strict=True):
            np.testing.assert_array_equal(output[0], expected(given))
    assert len(runner.threads) == 3 and runner.most <= 3


async def test_one_stream_that_hangs_takes_the_runner_out_and_everything_runs_elsewhere() -> None:
    runner, heir = Streams(), FakeRunner()
    runner.slow.clear()
    async with pool_of(runner, heir, patience_s=0.2) as (pool, log):
        calls = [asyncio.create_task(pool.run([array(32, n + 1)])) for n in range(4)]
        for n, answer in enumerate(await asyncio.gather(*calls)):
            np.testing.assert_array_equal(answer[0], expected(array(32, n + 1)))
        assert log.failures == ["hang"] and not runner.closed
        runner.slow.set()
        async with asyncio.timeout(5):
            while not runner.closed:  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0.01)


async def test_wrong_answers_of_one_stream_take_the_runner_out_once() -> None:
    runner, heir = Streams(), FakeRunner()
    async with pool_of(runner, heir) as (pool, log):
        runner.wrong = True
        arrays = [array(8, n + 1) for n in range(20)]
        for given, output in zip(arrays, await pool.run(arrays), strict=True):
            np.testing.assert_array_equal(output, expected(given))
        assert log.failures == ["wrong_answer"] and pool.runner_names == ("fake",)


async def test_the_last_stream_that_ends_closes() -> None:
    runner = Streams()
    runner.slow.clear()
    async with pool_of(runner) as (pool, _):
        call = asyncio.create_task(pool.run([array(32)]))
        await entered(runner)
        closing = asyncio.create_task(pool.__aexit__())
        await asyncio.sleep(0.05)  # the other one has nothing to do, and ends
        assert not runner.closed
        runner.slow.set()
        await closing
        await call
    assert runner.closed


def test_abreast_keeps_the_order_and_uses_all_streams() -> None:
    runner = Streams()
    batches = [array(8 + 24 * (n % 2), n + 1)[None] for n in range(9)]
    runner.slow.clear()
    timer = threading.Timer(0.1, runner.slow.set)
    timer.start()
    abreast = Abreast(runner)
    for given, found in zip(batches, abreast.run(batches), strict=True):
        np.testing.assert_array_equal(found, expected(given))
    abreast.close()
    assert runner.most == 2


def test_abreast_leaves_other_runners_in_their_thread() -> None:
    runner = FakeRunner()
    abreast = Abreast(runner)
    assert len(list(abreast.run([array(8)[None]] * 3))) == 3
    abreast.close()
    assert runner.threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("nonsense", None), ("10 x y", None)],
)
def test_cores_within_a_quota(tmp_path: Path, content: str, cores: int | None) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(content + "\n", encoding="ascii")
    bound = usable_cores(tmp_path / "missing")
    assert bound >= 1
    assert usable_cores(quota) == (bound if cores is None else min(cores, bound))
