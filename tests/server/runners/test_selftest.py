"""Buckets in the self-test: every shape on every lane, by a runner that is wrong in one place only."""

from pathlib import Path

import numpy as np
import pytest

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.runners.base import BucketedRunner, Done, Flight
from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.openvino import OpenVinoRunner
from hanjaserve.server.runners.selftest import check_runner
from hanjaserve.server.shapes import Int32


class Bucketed(OpenVinoRunner):
    """The right answers, from two lanes in turn; one of them may be wrong about one bucket's last row."""

    depth = 2

    def __init__(self, bundle: Bundle, wrong: tuple[int, int] = (0, 0), lane: int = 0) -> None:
        super().__init__(bundle, 1)
        self.buckets = BucketTable.for_model(bundle.manifest.max_tokens, 128, (16, 32))
        self.wrong, self.lane = wrong, lane
        self.seen: list[tuple[int, int]] = []

    def submit(self, tokens: Int32) -> Flight:
        lane = self.seen.count(tokens.shape) % 2  # type: ignore[arg-type]
        self.seen.append(tokens.shape)  # type: ignore[arg-type]
        output = self.run(tokens)
        if tokens.shape == self.wrong and lane == self.lane:
            output[-1] = np.roll(output[-1], 1, axis=0)
        return Done(output)


def test_every_bucket_is_run_on_every_lane(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    runner = Bucketed(bundle)
    assert isinstance(runner, BucketedRunner)
    check_runner(runner, bundle)
    assert sorted(runner.seen) == sorted(2 * [(b.rows, b.tokens) for b in runner.buckets.buckets])


@pytest.mark.parametrize(("shape", "lane"), [((8, 16), 1), ((1, 16), 0), ((2, 64), 1), ((4, 32), 0)])
def test_one_wrong_bucket_is_enough(tiny_bundle: Path, shape: tuple[int, int], lane: int) -> None:
    bundle = Bundle.open(tiny_bundle)
    message = f"bucket {shape[0]}x{shape[1]} differs on lane {lane + 1}"
    with pytest.raises(RuntimeFault, match=message):
        check_runner(Bucketed(bundle, shape, lane), bundle)
