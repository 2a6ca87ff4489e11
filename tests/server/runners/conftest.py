"""A fake GPU, and a runner on it, for every test that wants one."""

from collections.abc import Callable
from typing import Any

import pytest

from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.cuda import CudaPython, PyCuda
from hanjaserve.server.runners.driver import Cuda
from hanjaserve.server.runners.plans import PlanSpec
from hanjaserve.server.runners.tensorrt import Plan, TensorRtRunner

from . import fake_pycuda
from .fake_gpu import TOP_K, FakeDriver, FakeGpu
from .fake_tensorrt import FakeTensorRt, flavour_of

TABLE = BucketTable(lengths=(16, 32, 128), max_batch_tokens=256)
PAD = 9


def spec_of(flavour: str = "tensorrt", lanes: int = 2) -> PlanSpec:
    return PlanSpec(
        onnx_sha256="", flavour=flavour, version="11.0", device="Fake GPU", compute="8.9",
        lengths=TABLE.lengths, max_batch_tokens=TABLE.max_batch_tokens, lanes=lanes, flags=(),
    )  # fmt: skip


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def cuda(gpu: FakeGpu) -> CudaPython:
    return CudaPython(FakeDriver(gpu))


@pytest.fixture
def pycuda(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> PyCuda:
    monkeypatch.setattr("hanjaserve.server.runners.cuda.version", lambda package: "2026.1")
    return PyCuda(fake_pycuda.FakePyCuda(gpu))


@pytest.fixture
def open_runner(gpu: FakeGpu, cuda: CudaPython) -> Callable[..., TensorRtRunner]:
    """Opens a runner; afterwards nothing may be allocated or set any more."""

    def open_it(
        *,
        flavour: str = "tensorrt",
        lanes: int = 2,
        content: bytes = b"plan",
        kernels: bytes = b"",
        driver: Cuda = cuda,
        capturable: bool = True,
        plan_lanes: int | None = None,
        **options: Any,
    ) -> TensorRtRunner:
        api = FakeTensorRt(gpu, TABLE, plan_lanes or lanes)
        api.capturable = capturable
        plan = Plan(spec=spec_of(flavour, lanes), content=content, kernels=kernels)
        runner = TensorRtRunner(flavour_of(api, flavour), plan, driver, pad_id=PAD, top_k=TOP_K, **options)
        assert gpu.violations == []
        gpu.frozen = True
        gpu.calls.clear()
        return runner

    return open_it
