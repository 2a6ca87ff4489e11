"""The null runner: it takes as long as it should, keeps everything, and passes nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.null.bundle import make_null_bundle
from benchmarks.null.runner import NullRunner, null_rung
from benchmarks.simulator.cost import Cost
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.config import RUNNERS
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.local import LocalConverter
from hanjaserve.server.runners.ladder import RUNGS, open_runner

COST = Cost(batch_s=2e-3, token_s=1e-6)


class LateClock:
    """Sleeps last a tenth of a millisecond too long."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 1e-4


def test_batch_takes_what_the_cost_model_says() -> None:
    clock = LateClock()
    runner = NullRunner(COST, 4, sleep=clock.sleep, clock=clock)
    begun = clock.now
    output = runner.run(np.full((3, 16), 44, np.int32))
    assert clock.now - begun == pytest.approx(2e-3 + 48e-6)
    assert output.shape == (3, 16, 4)
    assert (output[..., 0] == 0xFFFF).all()
    assert not output[..., 1:].any()


def test_it_keeps_everything_and_passes_on_no_other_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    rung = null_rung(COST)
    bundle = Bundle.open(make_null_bundle(tiny_bundle, tmp_path / "null"))
    runner, _ = open_runner(bundle, rungs=(rung,))
    with LocalConverter(bundle, make_codec(bundle), runner) as converter:
        assert converter.convert("대한민국의 수도").text == "대한민국의 수도"
    with pytest.raises(RuntimeFault, match="self-test of null"):
        open_runner(Bundle.open(tiny_bundle), rungs=(rung,))


def test_nobody_gets_it_by_accident() -> None:
    assert "null" not in RUNNERS
    assert "null" not in [rung.name for rung in RUNGS]
