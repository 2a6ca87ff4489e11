"""A front-end's pool and the engine's host, joined in one process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanjaserve.server.batcher import Batcher, Priority
from hanjaserve.server.errors import DeadlineExpired, Draining, HanjaserveError, Overloaded, RuntimeFault
from hanjaserve.server.pool import Pool
from hanjaserve.server.processes.host import Host
from hanjaserve.server.processes.link import MEMORY, make_link
from hanjaserve.server.processes.remote import RemotePool
from hanjaserve.server.processes.wire import Cancel, Done, encode
from hanjaserve.server.timing import CURRENT, FLOW, Timing
from tests.server.fakes import POISON, FakeRunner, expected

REQUESTS, REPLIES = 4096, 4096


def tokens(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


@dataclass
class FakePool:
    """Doubles, when it may."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: list[tuple[Priority, float | None]] = field(default_factory=list)
    flows: list[object] = field(default_factory=list)
    cancelled: int = 0
    error: Exception | None = None

    async def run_each(
        self, tokens_list: Sequence[Any], *, priority: Priority, deadline: float | None
    ) -> Any:
        self.jobs.append((priority, deadline))
        self.flows.append(FLOW.get())
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return [expected(found) for found in tokens_list]


@dataclass
class Joined:
    remote: RemotePool
    host: Host
    left: list[Host]


@asynccontextmanager
async def joined(pool: Any) -> AsyncIterator[Joined]:
    before = len(os.listdir("/proc/self/fd"))
    ends = make_link(REQUESTS, REPLIES)
    left: list[Host] = []
    host = Host(ends.engine, pool, left.append, request_bytes=REQUESTS)
    remote = RemotePool(ends.frontend, restart_s=1.5, request_bytes=REQUESTS)
    try:
        yield Joined(remote, host, left)
    finally:
        remote.close()
        await until(lambda: bool(left))
        host.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.001)


def ready_pool() -> FakePool:
    pool = FakePool()
    pool.open.set()
    return pool


async def test_many_calls_at_once_get_their_own_answers() -> None:
    async with joined(ready_pool()) as pair:
        lists = [[tokens(i), tokens(i, i + 1)] for i in range(30)]
        found = await asyncio.gather(*(pair.remote.run_each(one) for one in lists))
        for outcomes, one in zip(found, lists, strict=True):
            assert all(np.array_equal(a, expected(b)) for a, b in zip(outcomes, one, strict=True))
        assert await pair.remote.run_each([]) == []


async def test_behind_a_real_pool_classes_deadlines_and_times_arrive() -> None:
    runner = FakeRunner()
    batcher = Batcher(max_batch_tokens=64, max_queue_tokens=500)
    async with Pool([runner], batcher) as pool, joined(pool) as pair:
        timing = Timing()
        CURRENT.set(timing)
        outcomes = await pair.remote.run_each([tokens(1, 2), tokens(POISON)], priority=Priority.BULK)
        assert np.array_equal(outcomes[0], expected(tokens(1, 2)))
        assert isinstance(outcomes[1], RuntimeFault)
        assert timing.tokens == 3
        assert timing.run_us > 0
        with pytest.raises(Overloaded, match="exceed its limit of 500"):
            await pair.remote.run_each([tokens(*range(1, 500)), *[tokens(1)] * 10])


async def test_class_and_deadline_are_what_the_caller_said() -> None:
    pool = ready_pool()
    async with joined(pool) as pair:
        await pair.remote.run_each([tokens(1)], priority=Priority.LIVE_FINAL, deadline=1e9)
        await pair.remote.run_each([tokens(1)], priority=Priority.BULK)
        assert pool.jobs == [(Priority.LIVE_FINAL, 1e9), (Priority.BULK, None)]


async def test_flows_are_told_apart_by_the_engine() -> None:
    pool = ready_pool()
    async with joined(pool) as pair:
        for flow in ("alice", "bob", "alice", None):
            FLOW.set(flow)
            await pair.remote.run_each([tokens(1)])
    alice, bob, again, nobody = pool.flows
    assert alice == again
    assert len({alice, bob, nobody}) == 3


async def test_errors_of_the_engine_are_raised() -> None:
    pool = ready_pool()
    async with joined(pool) as pair:
        for error, kind in ((Overloaded("full", 3), Overloaded), (ZeroDivisionError("secret"), RuntimeFault)):
            pool.error = error
            with pytest.raises(kind) as caught:
                await pair.remote.run_each([tokens(1)])
            assert "secret" not in str(caught.value)


async def test_engine_without_a_runner_says_when_another_one_is_there() -> None:
    pool = ready_pool()
    pool.error = Draining("no runner is left")
    async with joined(pool) as pair:
        with pytest.raises(Draining) as caught:
            await pair.remote.run_each([tokens(1)])
        assert caught.value.retry_after_s == 1.5


async def test_deadline_passes_in_the_frontend_and_cancels_in_the_engine() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        deadline = asyncio.get_running_loop().time() + 0.05
        with pytest.raises(DeadlineExpired):
            await pair.remote.run_each([tokens(1)], deadline=deadline)
        await until(lambda: pool.cancelled == 1)


async def test_cancelled_call_is_cancelled_in_the_engine_even_before_it_began_there() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        late = asyncio.create_task(pair.remote.run_each([tokens(1)]))
        await until(lambda: len(pool.jobs) == 1)
        early = asyncio.create_task(pair.remote.run_each([tokens(2)]))
        await asyncio.sleep(0)
        for task in (late, early):
            task.cancel()
        await asyncio.gather(late, early, return_exceptions=True)
        await until(lambda: pool.cancelled >= 1 and not pair.host._jobs)
        pool.open.set()
        (found,) = await pair.remote.run_each([tokens(3)])
        assert np.array_equal(found, expected(tokens(3)))


async def test_answer_that_comes_too_late_finds_nobody() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        gone = asyncio.create_task(pair.remote.run_each([tokens(1)]))
        await until(lambda: len(pool.jobs) == 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        pool.open.set()
        next_one = asyncio.create_task(pair.remote.run_each([tokens(2)]))
        pair.host._link.post(encode(Done(1, [expected(tokens(1))])))
        (found,) = await next_one
        assert np.array_equal(found, expected(tokens(2)))


async def test_full_ring_is_refused_like_a_full_queue_and_recovers() -> None:
    async with joined(ready_pool()) as pair:
        large = [tokens(*range(1, 300))]
        calls = [asyncio.create_task(pair.remote.run_each(large)) for _ in range(8)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [r for r in results if isinstance(r, Overloaded)]
        # The engine does not run between them: three requests of 1.2 KB fit 4 KiB.
        assert len(refused) == 5
        assert refused[0].retry_after_s > 0
        assert "no room" in str(refused[0])
        assert len(await pair.remote.run_each(large)) == 1


async def test_answers_wait_for_room() -> None:
    """Each answer takes more than half of the ring, so they can only come one by one."""
    async with joined(ready_pool()) as pair:
        calls = [pair.remote.run_each([tokens(*range(1, 290))]) for _ in range(3)]
        assert [len(found) for found in await asyncio.gather(*calls)] == [1, 1, 1]


async def test_answer_that_can_never_fit_is_a_fault_and_not_silence() -> None:
    async with joined(ready_pool()) as pair:
        with pytest.raises(RuntimeFault, match="can't fit"):
            await pair.remote.run_each([tokens(*range(1, 700))])


async def test_engine_that_goes_fails_calls_once_with_a_hint() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        call = asyncio.create_task(pair.remote.run_each([tokens(1)]))
        await until(lambda: len(pool.jobs) == 1)
        pair.host.close()
        pair.left.append(pair.host)
        for attempt in (call, pair.remote.run_each([tokens(1)])):
            with pytest.raises(Draining) as caught:
                await attempt
            assert caught.value.retry_after_s == 1.5
        assert pair.remote.dead.is_set()


async def test_what_the_engine_said_before_it_went_counts() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        call = asyncio.create_task(pair.remote.run_each([tokens(1)]))
        await until(lambda: len(pool.jobs) == 1)
        pair.host._link.post(encode(Done(1, [expected(tokens(1))])))
        pair.host.close()
        pair.left.append(pair.host)
        (found,) = await call
        assert np.array_equal(found, expected(tokens(1)))


async def test_frontend_that_goes_takes_its_jobs_along() -> None:
    pool = FakePool()
    async with joined(pool) as pair:
        call = asyncio.create_task(pair.remote.run_each([tokens(1)]))
        await until(lambda: len(pool.jobs) == 1)
        pair.remote.close()
        await until(lambda: pool.cancelled == 1)
        assert pair.left == [pair.host]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize("side", ["frontend", "engine"])
async def test_whoever_breaks_the_protocol_is_taken_for_dead(side: str) -> None:
    async with joined(ready_pool()) as pair:
        if side == "frontend":
            pair.remote._link.post(encode(Done(1, [])))
        else:
            pair.host._link.post(encode(Cancel(1)))
        await pair.remote.dead.wait() if side == "engine" else await until(lambda: bool(pair.left))
        with pytest.raises((Draining, HanjaserveError)):
            await pair.remote.run_each([tokens(1)])


def test_memory_has_no_name_and_keeps_its_size(tmp_path: Path) -> None:
    ends = make_link(REQUESTS, REPLIES)
    try:
        memory = ends.frontend[MEMORY]
        assert os.stat(memory).st_nlink == 0
        with pytest.raises(PermissionError):
            os.ftruncate(memory, 16)
    finally:
        for number in (*ends.frontend, *ends.engine):
            os.close(number)
