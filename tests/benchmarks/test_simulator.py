"""The simulator must be honest, or what it shows is worth nothing."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator.__main__ import compare, main, table
from benchmarks.simulator.cost import Cost
from benchmarks.simulator.policies import Fifo, Ours, Policy, TextEmbeddingsInference, Triton
from benchmarks.simulator.replay import Replay, Run, replay
from benchmarks.simulator.scenarios import accelerator, two_cores
from benchmarks.simulator.summary import check, summarize
from benchmarks.simulator.traces import Arrival, Trace, beside_bulk, bursts, steady
from hanjaserve.server.batcher import Priority

MS = 1e-3
# 1 ms a batch and 1 ms per 8 tokens; half a millisecond to hand over.
COST = Cost(batch_s=1 * MS, token_s=MS / 8, hand_over_s=0.5 * MS)


def trace(*arrivals: tuple[float, int]) -> Trace:
    return Trace(
        name="made by hand",
        arrivals=tuple(
            Arrival(number=number, at_s=at * MS, tokens=tokens)
            for number, (at, tokens) in enumerate(arrivals)
        ),
    )


def timeline(found: Replay) -> list[tuple[list[int], float, float]]:
    """Numbers of the arrivals, start and end in ms of every batch."""
    return [
        ([a.number for a in run.arrivals], round(run.start_s / MS, 6), round(run.end_s / MS, 6))
        for run in found.runs
    ]


THREE = trace((0, 8), (1, 8), (2, 16), (2, 8))


def test_fifo_by_hand() -> None:
    assert timeline(replay(THREE, Fifo(2), COST)) == [
        ([0], 0.5, 2.5),
        ([1, 2], 3.0, 8.0),  # 2 x 16 tokens
        ([3], 8.5, 10.5),
    ]


def test_tei_by_hand() -> None:
    assert timeline(replay(THREE, TextEmbeddingsInference(32), COST)) == [
        ([0], 0.5, 2.5),
        ([1], 2.5, 4.5),  # was all there was when the slot became free, at 1 ms
        ([2, 3], 4.5, 9.5),
    ]


def test_triton_by_hand() -> None:
    assert timeline(replay(THREE, Triton((2,), 1.5 * MS), COST)) == [
        ([0, 1], 1.5, 4.5),  # as soon as two wait
        ([2, 3], 5.0, 10.0),
    ]
    assert timeline(replay(trace((0, 8)), Triton((2,), 1.5 * MS), COST)) == [([0], 2.0, 4.0)]


def test_ours_by_hand() -> None:
    found = timeline(replay(THREE, Ours(32), COST))
    assert found == [
        ([0], 0.5, 2.5),
        ([1, 3], 2.5, 5.5),  # decided at 2 ms, when 32 tokens waited; 8 and 8, not 8 and 16
        ([2], 6.0, 9.0),
    ]


def test_two_runners_by_hand() -> None:
    assert timeline(replay(THREE, Fifo(2), COST, runners=2)) == [
        ([0], 0.5, 2.5),
        ([1], 1.5, 3.5),
        ([2, 3], 3.0, 8.0),  # as soon as the first runner is free
    ]
    # Each free runner gets its part of what waits.
    together = trace((0, 8), (0, 8), (0, 8), (0, 8))
    assert timeline(replay(together, Ours(32, runners=2), COST, runners=2)) == [
        ([0, 1], 0.5, 3.5),
        ([2, 3], 0.5, 3.5),
    ]


def policies(runners: int = 1) -> list[Policy]:
    return [Fifo(4), TextEmbeddingsInference(256), Triton((2, 4), 2 * MS), Ours(256, runners)]


ARRIVALS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60)), min_size=1, max_size=40)


@given(ARRIVALS, st.sampled_from(range(4)), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_every_text_runs_once_after_it_came_and_no_more_batches_at_a_time_than_runners(
    arrivals: list[tuple[float, int]], which: int, runners: int
) -> None:
    given_trace = trace(*sorted(arrivals))
    found = replay(given_trace, policies(runners)[which], COST, runners)
    check(given_trace, found)
    assert sum(len(run.arrivals) for run in found.runs) == len(arrivals)
    for run in found.runs:
        longest = max(a.tokens for a in run.arrivals)
        assert run.computed_tokens == len(run.arrivals) * (-(-longest // 8) * 8)


@given(ARRIVALS)
@settings(max_examples=50, deadline=None)
def test_runner_is_never_idle_while_something_waits(arrivals: list[tuple[float, int]]) -> None:
    """Of the policies without a delay; a hand-over is not idleness."""
    given_trace = trace(*sorted(arrivals))
    for policy in (Fifo(4), TextEmbeddingsInference(256), Ours(256)):
        end = 0.0
        for run in replay(given_trace, policy, COST).runs:
            came = min(a.at_s for a in run.arrivals)
            assert run.start_s <= max(end, came) + COST.hand_over_s + 1e-9
            end = run.end_s


def damaged(*batches: tuple[Sequence[int], float, float]) -> Replay:
    found = Replay()
    for numbers, start, end in batches:
        arrivals = tuple(THREE.arrivals[n] for n in numbers)
        found.runs.append(Run(arrivals=arrivals, start_s=start * MS, end_s=end * MS, computed_tokens=8))
    return found


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (damaged(([0, 1, 2], 3, 4)), "1 texts were lost"),
        (damaged(([0, 1, 2, 3, 0], 3, 4)), "text 0 was answered twice"),
        (damaged(([0, 1, 2, 3], 1.5, 4)), "text 2 ran before it came"),
        (damaged(([0, 1], 2, 4), ([2, 3], 3, 5)), "before one of those before ended"),
    ],
)
def test_dishonesty_is_noticed(found: Replay, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check(THREE, found)


def test_summary_by_hand() -> None:
    summary = summarize(THREE, replay(THREE, Fifo(2), COST))
    assert summary.texts_per_s == pytest.approx(4 / (10.5 * MS))
    assert summary.busy == pytest.approx(9 / 10.5)
    assert summary.padding == pytest.approx(1 - 40 / 48)
    assert summary.p50_ms == pytest.approx(7.0)  # of 2.5, 6, 7 and 8.5 the third
    assert summary.p99_ms == pytest.approx(8.5)


def test_traces_have_the_rate_they_claim_and_come_out_equal() -> None:
    for make in (lambda: steady(500, 20), lambda: bursts(500, 20)):
        assert make() == make()
        assert len(make().arrivals) == pytest.approx(10_000, rel=0.05)
    assert {a.at_s % 1.0 < 0.25 for a in bursts(500, 20).arrivals} == {True}
    bulk = [a for a in beside_bulk(100, 5, texts=300).arrivals if a.priority == Priority.BULK]
    assert len(bulk) == 300


def test_ours_wins_where_it_says_so() -> None:
    """The claim of docs/performance.md, on short traces: most texts, least padding, least wait."""
    for device in (two_cores(5), accelerator(5)):
        rows = list(compare(device))
        for arrivals in {arrivals for arrivals, _, _ in rows}:
            of = {policy: summary for name, policy, summary in rows if name == arrivals}
            (ours,) = [summary for policy, summary in of.items() if policy.startswith("hanjaserve")]
            assert all(ours.texts_per_s > 0.99 * other.texts_per_s for other in of.values())
            assert all(ours.in_time >= other.in_time for other in of.values())
        assert f"| {rows[0][1]} |" in table(rows)


def test_unusable_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seconds", "0"])
    assert "use 1 to 3600" in capsys.readouterr().err
