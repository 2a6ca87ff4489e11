"""On a machine with an NVIDIA GPU and a TensorRT: `pytest -m gpu`. More is in `make gpu-check`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.contenders import open_tensorrt
from benchmarks.gpu.parity import Reference
from benchmarks.gpu.subjects import Subject, bundle_subject
from benchmarks.texts import load_mix
from hanjaserve.build.compile import choose_flavour
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.runners.cuda import open_cuda
from hanjaserve.server.runners.selftest import check_runner
from hanjaserve.server.runners.tensorrt import TensorRtRunner

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]  # the first one compiles a plan


@pytest.fixture(scope="module")
def subject() -> Subject:
    return bundle_subject(Bundle.open(default_bundle_path()), load_mix(count=400))


@pytest.fixture(scope="module")
def runner(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorRtRunner]:
    cache: Path = tmp_path_factory.mktemp("cache")
    try:
        flavour = choose_flavour().name
        open_cuda().close()
    except ConfigError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        opened = open_tensorrt(subject, flavour)
    yield opened
    opened.close()


def test_every_bucket_has_a_graph(runner: TensorRtRunner) -> None:
    assert f"{runner.depth * len(runner.buckets.buckets)} CUDA graphs" in runner.name


def test_self_test(runner: TensorRtRunner, subject: Subject) -> None:
    check_runner(runner, subject.bundle)


def test_parity(runner: TensorRtRunner, subject: Subject) -> None:
    assert Reference(subject.bundle, load_mix(count=400).texts).parity(runner)["passed"]


def test_overlapping_batches_keep_apart(runner: TensorRtRunner, subject: Subject) -> None:
    rows = [np.resize(row, 40) for row in subject.rows[:64]]
    batches = [np.stack(rows[start : start + 16]) for start in range(0, 64, 16)]
    alone = [runner.run(batch) for batch in batches]
    for _ in range(50):
        for first in range(0, len(batches), runner.depth):
            chosen = range(first, min(first + runner.depth, len(batches)))
            flights = [runner.submit(batches[number]) for number in chosen]
            for number, flight in zip(chosen, flights, strict=True):
                np.testing.assert_array_equal(flight.result(), alone[number])
