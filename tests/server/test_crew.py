"""Runners that hang, throw, or answer wrongly: who is at fault, what becomes of their work, who follows."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from hanjaserve.server.batcher import Batcher
from hanjaserve.server.crew import Watch
from hanjaserve.server.errors import Draining, RuntimeFault
from hanjaserve.server.observer import Blind
from hanjaserve.server.pool import Pool
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.shapes import Int32

from .fakes import POISON, FakeRunner, expected
from .test_pool import array, entered

KNOWN = array(4, 7)[None]


class Sick(FakeRunner):
    """Healthy until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.symptom = ""

    def run(self, tokens: Int32) -> Int32:
        output = super().run(tokens)
        match self.symptom:
            case "throw":
                raise ValueError("sick")
            case "wrong rows":
                return output[::-1] + 2
            case "nan":
                return np.full_like(output, np.iinfo(np.int32).min)
            case "zero":
                return np.zeros_like(output)
            case "size":
                return output[:, :-1]
            case "type":
                return output.astype(np.int64)  # type: ignore[return-value]
        return output


class Log(Blind):
    def __init__(self) -> None:
        self.failures: list[str] = []
        self.failed = threading.Event()

    def runner_failed(self, reason: str) -> None:
        self.failures.append(reason)
        self.failed.set()


def check(runner: Runner) -> None:
    np.testing.assert_array_equal(runner.run(KNOWN), expected(KNOWN), strict=True)


def following(*runners: Runner) -> Callable[[], Awaitable[Runner]]:
    left = list(runners)

    async def replace() -> Runner:
        if not left:
            raise RuntimeFault("none is left")
        return left.pop(0)

    return replace


@asynccontextmanager
async def watched(
    *runners: Sick, every_s: float = 0.0, patience_s: float = 10.0
) -> AsyncIterator[tuple[Pool, Log, Batcher]]:
    log, batcher = Log(), Batcher(max_batch_tokens=64, max_queue_tokens=100_000)
    first, *others = runners
    watch = Watch(
        patience_s=patience_s, check=check, check_every_s=every_s, replace=following(*others)
    )
    async with Pool([first], batcher, top_k=2, observer=log, watch=watch) as pool:
        try:
            yield pool, log, batcher
        finally:
            for runner in runners:
                runner.gate.set()


@pytest.mark.parametrize("symptom", ["throw", "wrong rows", "nan", "zero", "size", "type"])
async def test_sick_runner_is_replaced_and_nobody_notices(symptom: str) -> None:
    sick, heir = Sick(), Sick()
    # What only the question can tell is asked after every batch; the others show by themselves.
    every_s = 0 if symptom == "wrong rows" else 3600
    async with watched(sick, heir, every_s=every_s) as (pool, log, batcher):
        await pool.run([array(8)])
        sick.symptom = symptom
        arrays = [array(8, value) for value in range(1, 30)]
        for given, output in zip(arrays, await pool.run(arrays), strict=True):
            np.testing.assert_array_equal(output, expected(given))
        assert log.failures == ["wrong_answer"]
        assert pool.runner_names == ("fake",)
        assert (len(batcher), batcher.queued_tokens, batcher.running_tokens) == (0, 0, 0)
        # Every call comes back before its thread may close the runner.
        async with asyncio.timeout(5):
            while not sick.closed:  # noqa: ASYNC110 - a thread sets it
                await asyncio.sleep(0.01)


async def test_runner_that_hangs_is_left_behind() -> None:
    sick, heir = Sick(), Sick()
    async with watched(sick, heir, patience_s=0.2) as (pool, log, batcher):
        sick.gate.clear()
        calls = [asyncio.create_task(pool.run([array(8)] * 3)) for _ in range(10)]
        await entered(sick)
        await asyncio.gather(*calls)
        assert log.failures == ["hang"]
        sick.gate.set()  # its late answer harms nobody
        await pool.run([array(8)])
        assert (len(batcher), batcher.running_tokens) == (0, 0)


async def test_poison_is_not_the_runners_fault() -> None:
    sick, heir = Sick(), Sick()
    async with watched(sick, heir) as (pool, log, _):
        outcomes = await pool.run_each([array(8), array(8, POISON), array(8)])
        assert [isinstance(outcome, RuntimeFault) for outcome in outcomes] == [False, True, False]
        assert log.failures == []


async def test_what_brings_two_runners_down_is_refused() -> None:
    runners = [Sick() for _ in range(3)]
    async with watched(*runners, patience_s=0.1) as (pool, log, _):
        for runner in runners[:2]:
            runner.gate.clear()
        (outcome,) = await pool.run_each([array(8)])
        assert isinstance(outcome, RuntimeFault)
        assert "two runners" in str(outcome)
        assert log.failures == ["hang", "hang"]
        await pool.run([array(8)])


async def test_when_none_is_left_everybody_is_told() -> None:
    sick = Sick()
    async with watched(sick) as (pool, _, batcher):
        sick.symptom = "throw"
        outcomes = await asyncio.gather(
            *(pool.run([array(8)] * 5) for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(outcome, Draining) for outcome in outcomes)
        assert pool.dead.is_set()
        assert len(batcher) == 0
        with pytest.raises(Draining, match="no runner is left"):
            await pool.run([array(8)])


async def test_wrong_answers_are_found_within_the_interval_only() -> None:
    """What the interval means: a runner that goes wrong in silence is believed until it is asked again."""
    sick, heir = Sick(), Sick()
    async with watched(sick, heir, every_s=3600) as (pool, log, _):
        sick.symptom = "wrong rows"
        (output,) = await pool.run([array(8)])
        assert not np.array_equal(output, expected(array(8)))
        assert log.failures == []


async def test_caller_who_left_is_not_computed_again() -> None:
    sick, heir = Sick(), Sick()
    async with watched(sick, heir, patience_s=0.2) as (pool, _, batcher):
        sick.gate.clear()
        call = asyncio.create_task(pool.run([array(8)]))
        await entered(sick)
        call.cancel()
        await pool.run([array(16)])
        assert heir.batches == [(1, 16), (1, 4)] or heir.batches == [(1, 16)]
        assert len(batcher) == 0
