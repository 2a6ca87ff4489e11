"""Several batches under way on one thread, by a device whose batches finish when the test says so."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from hanjaserve.server.batcher import Batcher
from hanjaserve.server.crew import Watch
from hanjaserve.server.errors import DeviceLost, Draining, HanjaserveError, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.overlap import OverlappingWorker, worker_for
from hanjaserve.server.pool import Pool
from hanjaserve.server.runners.base import Done, Flight, Runner
from hanjaserve.server.shapes import Int32
from hanjaserve.server.worker import Worker

from .fakes import POISON, FakeRunner, expected
from .test_crew import Log, check, following
from .test_pool import array, settle


class HeldFlight:
    """Is done once it is released."""

    def __init__(self, device: "FakeDevice", tokens: Int32) -> None:
        self.device, self.tokens = device, tokens
        self.released = threading.Event()
        self.fault: Exception | None = None
        if device.open:
            self.released.set()

    def done(self) -> bool:
        return self.released.is_set() and not self.device.blind

    def result(self) -> Int32:
        assert self.released.wait(10)
        self.device.blind = False
        self.device.threads.add(threading.get_ident())
        if self.fault is not None:
            raise self.fault
        if (self.tokens == POISON).any():
            raise RuntimeFault("poisoned")
        return expected(self.tokens)


class FakeDevice:
    """An OverlappingRunner. While `open` is False, its flights wait to be released."""

    name = "device"

    def __init__(self, depth: int = 2) -> None:
        self.depth = depth
        self.open = True
        self.flights: list[HeldFlight] = []
        self.begun = threading.Semaphore(0)
        self.refusal: Exception | None = None
        self.threads: set[int] = set()
        self.closing = threading.Event()
        self.lost = False
        self.blind = False

    def submit(self, tokens: Int32) -> Flight:
        self.threads.add(threading.get_ident())
        if self.refusal is not None:
            raise self.refusal
        flight = HeldFlight(self, tokens)
        self.flights.append(flight)
        self.begun.release()
        return flight

    def run(self, tokens: Int32) -> Int32:
        self.threads.add(threading.get_ident())
        if self.lost:
            raise DeviceLost("gone")
        return Done(HeldFlight.result(opened(HeldFlight(self, tokens)))).result()

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closing.set()

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [flight.tokens.shape for flight in self.flights]

    async def under_way(self, count: int) -> list[HeldFlight]:
        """Wait for so many more batches."""
        for _ in range(count):
            assert await asyncio.to_thread(self.begun.acquire, timeout=10)
        return self.flights[-count:]


def opened(flight: HeldFlight) -> HeldFlight:
    flight.released.set()
    return flight


@asynccontextmanager
async def pool_of(
    device: FakeDevice, *others: Runner, every_s: float = 1e9
) -> AsyncIterator[tuple[Pool, Log, Batcher]]:
    log, batcher = Log(), Batcher(max_batch_tokens=64, max_queue_tokens=100_000)
    watch = Watch(check=check, check_every_s=every_s, replace=following(*others))
    async with Pool([device], batcher, pad_id=0, top_k=2, observer=log, watch=watch) as pool:
        try:
            yield pool, log, batcher
        finally:
            for flight in device.flights:
                flight.released.set()
            device.open = True


def test_worker_suits_the_runner() -> None:
    def made(runner: Runner) -> Worker:
        return worker_for(runner, pad_id=0, top_k=2, clock=lambda: 0.0, name="w")

    assert type(made(FakeRunner())) is Worker
    assert type(made(FakeDevice())) is OverlappingWorker and made(FakeDevice(3)).depth == 3


async def test_answers_and_one_thread() -> None:
    device = FakeDevice()
    arrays = [array(length, length) for length in range(1, 50)]
    async with pool_of(device) as (pool, _, batcher):
        outputs = await pool.run(arrays)
        assert (len(batcher), batcher.running_tokens) == (0, 0)
    for given, output in zip(arrays, outputs, strict=True):
        np.testing.assert_array_equal(output, expected(given))
    assert device.closing.is_set() and len(device.threads) == 1


async def test_second_batch_starts_while_the_first_is_under_way() -> None:
    device = FakeDevice()
    device.open = False
    async with pool_of(device) as (pool, _, batcher):
        first = asyncio.create_task(pool.run([array(8)]))
        (one,) = await device.under_way(1)
        second = asyncio.create_task(pool.run([array(16)]))
        (two,) = await device.under_way(1)
        third = asyncio.create_task(pool.run([array(24)]))
        await settle()
        assert batcher.queued_tokens == 24  # both places are taken, and it is no full batch
        two.released.set()  # out of order? The oldest is waited for
        one.released.set()
        await asyncio.gather(first, second)
        (last,) = await device.under_way(1)
        last.released.set()
        await third
    assert device.shapes == [(1, 8), (1, 16), (1, 24)]


async def test_whichever_is_done_first_is_answered_first() -> None:
    device = FakeDevice(depth=3)
    device.open = False
    async with pool_of(device) as (pool, _, _):
        slow = asyncio.create_task(pool.run([array(8)]))
        await device.under_way(1)
        quick = asyncio.create_task(pool.run([array(16)]))
        (flight,) = await device.under_way(1)
        flight.released.set()
        await quick
        assert not slow.done()
        device.flights[0].released.set()
        await slow


async def test_full_batch_is_prefetched_behind_those_under_way_and_taken_back() -> None:
    device = FakeDevice()
    device.open = False
    async with pool_of(device) as (pool, _, batcher):
        running = [asyncio.create_task(pool.run([array(64)])) for _ in range(2)]
        await device.under_way(2)
        full = asyncio.create_task(pool.run([array(64)]))
        await settle()
        assert batcher.queued_tokens == 0
        full.cancel()
        with pytest.raises(asyncio.CancelledError):
            await full
        for flight in device.flights:
            flight.released.set()
        await asyncio.gather(*running)
    assert len(device.flights) == 2


async def test_rate_counts_shared_time_once() -> None:
    device = FakeDevice()
    device.open = False
    async with pool_of(device) as (pool, _, batcher):
        started = time.monotonic()
        calls = [asyncio.create_task(pool.run([array(64)])) for _ in range(2)]
        flights = await device.under_way(2)
        await asyncio.sleep(0.2)
        for flight in flights:
            flight.released.set()
        await asyncio.gather(*calls)
        assert 0.2 <= batcher.totals.run_s <= time.monotonic() - started


async def test_with_all_places_taken_it_waits_for_the_oldest_without_asking() -> None:
    device = FakeDevice()
    device.blind = True
    async with pool_of(device) as (pool, _, _):
        await asyncio.wait_for(pool.run([array(64)] * 2), 10)


@pytest.mark.parametrize("when", ["submit", "result"])
async def test_out_of_memory_is_told_to_all_and_the_runner_lives_on(when: str) -> None:
    device = FakeDevice()
    fault = OutOfDeviceMemory("too full")
    async with pool_of(device) as (pool, log, _):
        if when == "submit":
            device.refusal = fault
            outcomes = await pool.run_each([array(8), array(8)])
        else:
            device.open = False
            call = asyncio.create_task(pool.run_each([array(8), array(8)]))
            (flight,) = await device.under_way(1)
            flight.fault = fault
            flight.released.set()
            outcomes = await call
            device.open = True
        assert outcomes == [fault, fault]
        device.refusal = None
        await pool.run([array(8)])
        assert log.failures == [] and not pool.device_lost


async def test_poisoned_entry_alone_fails() -> None:
    device = FakeDevice()
    arrays = [array(8, value) for value in range(1, 9)]
    arrays[5] = array(8, POISON)
    async with pool_of(device) as (pool, log, _):
        outcomes = await pool.run_each(arrays)
        assert [isinstance(outcome, HanjaserveError) for outcome in outcomes] == [n == 5 for n in range(8)]
        assert log.failures == []


@pytest.mark.parametrize("when", ["submit", "result", "check"])
async def test_lost_gpu_ends_the_pool_and_nobody_takes_its_place(when: str) -> None:
    device, spare = FakeDevice(), FakeRunner()
    async with pool_of(device, spare, every_s=0 if when == "check" else 1e9) as (pool, log, _):
        device.open = device.lost = when == "check"
        device.refusal = DeviceLost("gone") if when == "submit" else None
        calls = [asyncio.create_task(pool.run([array(64)])) for _ in range(4)]
        if when == "result":
            one, _ = await device.under_way(2)
            one.fault = DeviceLost("gone")
            one.released.set()
            await asyncio.wait(calls, timeout=5)  # although the other batch is still under way
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, Draining) for result in results)
        assert pool.dead.is_set() and pool.device_lost and log.failures == ["device_lost"]
        with pytest.raises(Draining, match="no runner is left"):
            await pool.run([array(8)])
        assert pool.runner_names == () and spare.batches == []


async def test_wrong_answers_hand_everything_to_the_next_runner() -> None:
    device, spare = FakeDevice(), FakeRunner()
    async with pool_of(device, spare) as (pool, log, _):
        device.open = False
        calls = [asyncio.create_task(pool.run([array(64, n + 1)])) for n in range(3)]
        one, two = await device.under_way(2)
        one.fault = RuntimeFault("odd")
        wrong = np.zeros((1, 4, 2), np.int32)
        device.run = lambda tokens: wrong  # type: ignore[method-assign]
        one.released.set()
        await asyncio.to_thread(log.failed.wait, 10)
        await asyncio.sleep(0.05)
        assert not device.closing.is_set()  # the device still works on the other batch
        two.released.set()
        answers = await asyncio.gather(*calls)
        for n, answer in enumerate(answers):
            np.testing.assert_array_equal(answer[0], expected(array(64, n + 1)))
        assert log.failures == ["wrong_answer"]
        assert await asyncio.to_thread(device.closing.wait, 10)


async def test_closing_waits_for_what_is_under_way() -> None:
    device = FakeDevice(depth=3)
    device.open = False
    async with pool_of(device) as (pool, _, _):
        calls = [asyncio.create_task(pool.run([array(8, 1)]))]
        await device.under_way(1)
        calls.append(asyncio.create_task(pool.run([array(8, 2)])))
        await device.under_way(1)
        closing = asyncio.create_task(pool.__aexit__())
        await settle()
        assert not device.closing.is_set()
        for flight in device.flights:
            flight.released.set()
        await closing
        np.testing.assert_array_equal((await calls[0])[0], expected(array(8, 1)))
        await calls[1]
    assert device.closing.is_set()
