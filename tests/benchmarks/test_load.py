"""The load generator and what is computed from it, on targets whose behaviour is known."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from benchmarks import counters
from benchmarks.load import Load, Refused, arrivals, closed_loop, flow, open_flow, open_loop
from benchmarks.raw import pack
from benchmarks.report import console, load_row
from benchmarks.search import highest_rate, keeps


class Sleeper:
    """Takes `seconds` per call; stops the whole event loop once, for `pause_s`."""

    def __init__(self, seconds: float, pause_s: float = 0.0, refuses: str = "") -> None:
        self.seconds, self.pause_s, self.refuses = seconds, pause_s, refuses
        self.calls = self.most = self.now = 0

    async def convert(self, texts: Sequence[str]) -> None:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        if self.pause_s and self.calls == 20:
            time.sleep(self.pause_s)  # noqa: ASYNC251 - standing still is the point
        await asyncio.sleep(self.seconds)
        self.now -= 1
        if self.refuses in texts and self.refuses:
            raise Refused("UNAVAILABLE")

    async def flow(self, texts: Iterator[str] | AsyncIterator[str]) -> AsyncIterator[str]:
        if isinstance(texts, AsyncIterator):
            async for text in texts:
                await self.convert([text])
                yield text
            return
        for number, text in enumerate(texts):
            if number % 64 == 0:
                await asyncio.sleep(0.02)  # results come in groups
            yield text


def made(
    *,
    rate: float,
    answered: int,
    p99_ms: float,
    seconds: float = 1.0,
    errors: dict[str, int] | None = None,
    windows: tuple[int, ...] = (1, 1, 1),
) -> Load:
    return Load(
        name="made",
        seconds=seconds,
        texts=answered,
        code_points=10 * answered,
        errors=errors or {},
        latencies_s=(p99_ms / 1000,),
        windows=windows,
        offered_per_s=rate,
        client_cpu_s=0.1,
    )


def test_arrivals_are_poisson() -> None:
    times = list(arrivals(1000, 20))
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1e-3, rel=0.03)
    # The standard deviation of exponential gaps is their mean.
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(mean, rel=0.05)
    assert times == list(arrivals(1000, 20))


async def test_open_loop_omits_nothing_while_the_generator_itself_stands_still() -> None:
    """Coordinated omission: a pause of 0.3 s must show in the calls that were due meanwhile."""
    found = await open_loop(Sleeper(0.001, pause_s=0.3), ["a"], rate_per_s=200, seconds=0.8, warm_s=0.0)
    assert found.texts == pytest.approx(160, abs=35)
    assert (found.latency_ms(0.99) or 0) > 200
    assert sum(latency > 0.1 for latency in found.latencies_s) > 20
    assert found.client_late_s > 0.2


async def test_closed_loop_keeps_its_number_in_flight() -> None:
    target = Sleeper(0.02)
    found = await closed_loop(target, ["ab", "c"], in_flight=8, batch=2, seconds=0.3, warm_s=0.05)
    assert target.most == 8
    assert found.texts_per_s == pytest.approx(2 * 8 / 0.02, rel=0.3)
    assert found.code_points == pytest.approx(1.5 * found.texts, rel=0.05)


async def test_warm_up_is_not_recorded_and_errors_are() -> None:
    found = await closed_loop(Sleeper(0.01, refuses="x"), ["x"], in_flight=2, seconds=0.1, warm_s=0.1)
    assert found.texts == 0
    assert 10 <= found.errors["UNAVAILABLE"] <= 24


async def test_throughput_counts_answers_and_latency_counts_calls() -> None:
    """Calls that take longer than the load are answered during it all the same."""
    found = await closed_loop(Sleeper(0.3), ["a"], in_flight=6, seconds=0.2, warm_s=0.2)
    assert found.texts == 6
    assert len(found.latencies_s) == 6  # those that began during the load, and ended after it


async def test_flow_counts_whole_groups_after_a_thousand_results() -> None:
    begun = asyncio.Event()
    found = await flow(Sleeper(0.0), ["abc"], seconds=0.5, begun=begun)
    assert begun.is_set()
    assert found.latencies_s == ()
    assert found.texts % 64 == 0
    assert found.code_points == 3 * found.texts
    assert found.texts_per_s == pytest.approx(64 / 0.02, rel=0.25)


async def test_open_loop_of_batches_counts_calls_and_their_texts() -> None:
    found = await open_loop(Sleeper(0.01), ["ab"], rate_per_s=100, seconds=0.5, warm_s=0.1, batch=8)
    assert found.name.startswith("batches of 8,")
    assert found.texts % 8 == 0
    assert found.texts / 8 == pytest.approx(len(found.latencies_s), abs=4)
    assert found.code_points == 2 * found.texts
    assert (found.latency_ms(0) or 0) >= 9


async def test_open_flow_omits_nothing_while_the_stream_takes_no_texts() -> None:
    found = await open_flow(Sleeper(0.001, pause_s=0.3), ["ab"], rate_per_s=200, seconds=0.8, warm_s=0.0)
    assert found.texts == pytest.approx(160, abs=35)
    assert sum(latency > 0.1 for latency in found.latencies_s) > 20
    assert found.client_late_s > 0.2
    # A stream that can't keep up answers late, all the later the longer it goes on.
    slow = await open_flow(Sleeper(0.02), ["ab"], rate_per_s=100, seconds=0.6, warm_s=0.1)
    assert (slow.latency_ms(0.99) or 0) > 300
    assert slow.texts_per_s < 60


def test_keeping_a_rate_means_answering_it_in_time_without_errors() -> None:
    assert keeps(made(rate=100, answered=99, p99_ms=49), 50)
    assert not keeps(made(rate=100, answered=99, p99_ms=51), 50)
    assert not keeps(made(rate=100, answered=80, p99_ms=49), 50)
    assert not keeps(made(rate=100, answered=99, p99_ms=49, errors={"UNAVAILABLE": 1}), 50)


async def test_search_finds_where_a_promise_breaks() -> None:
    async def measure(rate: float) -> Load:
        return made(rate=rate, answered=round(rate), p99_ms=10 if rate <= 333 else 90)

    found = await highest_rate(measure, most=1000, p99_ms=50, steps=10)
    assert found.rate_per_s == pytest.approx(333, abs=2)
    assert found.load is not None and found.load.offered_per_s == found.rate_per_s
    hopeless = await highest_rate(measure, most=1000, p99_ms=5, steps=4)
    assert (hopeless.rate_per_s, hopeless.load, len(hopeless.tried)) == (0.0, None, 4)


def test_unstable_load_is_marked() -> None:
    load = made(rate=10, answered=30, p99_ms=1, windows=(1000, 1000, 1300))
    assert not load.stable
    assert made(rate=10, answered=30, p99_ms=1, windows=(10, 10, 13)).stable
    assert "unstable" in console([load_row(load)])


def test_counters_are_read_and_subtracted() -> None:
    text = "\n".join(f"{name} {value}" for value, name in enumerate(counters.NAMES.values(), start=1))
    found = counters.parse(f"# HELP x\n{text}\n")
    assert (found.tokens, found.computed_tokens, found.rss_bytes) == (1, 2, 6)
    assert found.padding == 0.5
    assert found.since(found).tokens == 0
    with pytest.raises(LookupError, match="process_cpu_seconds_total"):
        counters.parse(text.replace("process_cpu", "cpu"))


def test_raw_batches_hold_everything_and_keep_the_budget() -> None:
    import numpy as np

    windows = [np.full(n, n, np.int32) for n in (9, 60, 3, 8, 17, 60)]
    batches = pack(windows, 128, 0)
    assert sorted(int(row.max()) for batch in batches for row in batch) == sorted(map(len, windows))
    assert all(batch.size <= 128 for batch in batches)
