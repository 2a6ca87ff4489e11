"""What is compared with what: devices, the traces that suit them, and every policy at its best there."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.simulator.cost import Cost
from benchmarks.simulator.policies import Fifo, Ours, Policy, TextEmbeddingsInference, Triton
from benchmarks.simulator.traces import Trace, beside_bulk, bursts, impatient, steady

HAND_OVER_S = 0.2e-3
"""From the end of a batch to the start of one that must be chosen first: twice through an event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A runner to schedule for.

    Attributes:
        name: What it stands for, and whether that was measured.
        cost: What its batches take.
        runners: How many batches run at a time.
        policies: Makes fresh ones, each with the best of several settings for steady load there.
        traces: Makes its traces.
    """

    name: str
    cost: Cost
    runners: int = 1
    policies: Callable[[], list[Policy]]
    traces: Callable[[], list[Trace]]


def two_cores(seconds: float) -> Device:
    """ONNX Runtime with a batch on each of two Zen 5 cores: measured, within 13 % from 16 to 1,024 tokens."""
    return Device(
        name="2 CPU cores, a batch on each (measured cost)",
        cost=Cost(batch_s=0.31e-3, token_s=18e-6, pair_s=29e-9, hand_over_s=HAND_OVER_S),
        runners=2,
        policies=lambda: [
            Fifo(1),
            TextEmbeddingsInference(64),
            Triton((2,), 0.0),
            Triton((2,), 0.002),
            Ours(512, runners=2),
        ],
        traces=lambda: [
            steady(800, seconds / 3),
            steady(1200, seconds / 3),
            bursts(600, seconds / 3),
            beside_bulk(400, seconds / 3, texts=int(300 * seconds)),
            impatient(2000, seconds / 3, patience_s=0.5),
        ],
    )


def accelerator(seconds: float) -> Device:
    """A device on which small batches cost almost as much as large ones: assumed, not measured."""
    return Device(
        name="an accelerator (assumed: 0.5 ms a batch, 0.25 µs a token)",
        cost=Cost(batch_s=0.5e-3, token_s=0.25e-6, hand_over_s=HAND_OVER_S),
        policies=lambda: [
            Fifo(64),
            TextEmbeddingsInference(8192),
            Triton((32, 64), 0.0),
            Triton((32, 64), 0.002),
            Ours(8192),
        ],
        traces=lambda: [
            steady(10_000, seconds / 20),
            steady(25_000, seconds / 20),
            beside_bulk(5_000, seconds / 20, texts=int(500 * seconds)),
        ],
    )
