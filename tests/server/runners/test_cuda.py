"""Both bindings over the fake GPU, and the fakes against the real packages' own signatures."""

import inspect
import re
import sys
import types
from typing import Any

import numpy as np
import pytest
from cuda.bindings import driver as real

from hanjaserve.server.errors import ConfigError, DeviceLost, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.runners import cuda as bindings
from hanjaserve.server.runners.cuda import CudaPython, PyCuda, open_cuda
from hanjaserve.server.runners.driver import STICKY, Cuda, Device

from . import fake_pycuda
from .fake_gpu import FakeDriver, FakeGpu, Result
from .fake_tensorrt import FakeContext, FakeEngine, FakeRuntimeConfig


@pytest.fixture(params=["cuda", "pycuda"])
def either(request: pytest.FixtureRequest) -> Cuda:
    driver: Cuda = request.getfixturevalue(request.param)
    return driver


def test_device(either: Cuda, gpu: FakeGpu) -> None:
    with either.current():
        either.memory(1 << 20)
        found = either.device()
    assert found == Device(
        name="Fake GPU", compute="8.9", memory_bytes=gpu.capacity, free_bytes=gpu.capacity - (1 << 20)
    )
    assert either.name.split()[0] in ("cuda-python", "pycuda")


def test_there_and_back(either: Cuda, gpu: FakeGpu) -> None:
    with either.current():
        host, device, stream, event = either.pinned(8), either.memory(32), either.stream(), either.event()
        host[:] = range(8)
        either.copy_in(device, host, stream)
        either.synchronize(stream)
        host[:] = 0
        either.copy_out(host, device, stream)
        either.record(event, stream)
        gpu.late = True
        assert not either.done(event)
        either.wait(event)
        assert either.done(event)
        np.testing.assert_array_equal(host, np.arange(8))
        assert host.dtype == np.int32 and isinstance(either.address(stream), int)
    either.close()
    assert gpu.memory == {} and gpu.violations == []


def test_every_use_needs_the_context(either: Cuda, gpu: FakeGpu) -> None:
    gpu.contexts = types.SimpleNamespace(depth=0)
    with pytest.raises(RuntimeFault, match="invalid context"):
        either.memory(16)
    assert gpu.violations == ["cuMemAlloc without a current context"]


def test_out_of_memory(either: Cuda, gpu: FakeGpu) -> None:
    with either.current(), pytest.raises(OutOfDeviceMemory):
        either.memory(gpu.capacity + 1)


@pytest.mark.parametrize("code", ["CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_ILLEGAL_ADDRESS"])
def test_lost_device_is_lost_by_either(either: Cuda, gpu: FakeGpu, code: str) -> None:
    with either.current():
        event = either.event()
        gpu.fail("cuEventQuery", getattr(Result, code))
        with pytest.raises(DeviceLost, match="start again"):
            either.done(event)
    gpu.dead = None if isinstance(either, PyCuda) else gpu.dead
    either.close()


def test_pycuda_takes_its_context_back_from_the_thread(pycuda: PyCuda, gpu: FakeGpu) -> None:
    with pytest.raises(KeyError), pycuda.current():
        raise KeyError
    assert gpu.contexts.depth == 0


def test_pycuda_has_no_graphs(pycuda: PyCuda) -> None:
    for call in (lambda: pycuda.capture(None, print), lambda: pycuda.launch(None, None)):
        with pytest.raises(RuntimeFault, match="no CUDA graphs: pip install cuda-python"):
            call()


def test_graph_that_cannot_be_instantiated(cuda: CudaPython, gpu: FakeGpu) -> None:
    with cuda.current():
        stream = cuda.stream()
        gpu.fail("cuGraphInstantiate", Result.CUDA_ERROR_INVALID_VALUE)
        with pytest.raises(RuntimeFault, match="cuGraphInstantiate"):
            cuda.capture(stream, lambda: None)
    assert gpu.calls[-1] == "cuGraphDestroy"


@pytest.mark.parametrize(
    "make", [lambda g: CudaPython(FakeDriver(g)), lambda g: PyCuda(fake_pycuda.FakePyCuda(g))]
)
def test_no_gpu(make: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "version", lambda package: "1")
    gpu.count = 0
    with pytest.raises(ConfigError, match="CUDA_VISIBLE_DEVICES"):
        make(gpu)
    gpu.fail("cuInit", Result.CUDA_ERROR_NO_DEVICE)
    with pytest.raises(ConfigError, match=r"no NVIDIA GPU can be used: .*no device"):
        make(gpu)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoDriver(FakeDriver):
        def cuInit(self, Flags: int) -> Any:
            raise RuntimeError("libcuda.so.1 cannot be found")

    with pytest.raises(ConfigError, match="no NVIDIA driver: libcuda can't be loaded"):
        CudaPython(NoDriver(FakeGpu()))


def test_binding_is_cuda_python_or_else_pycuda(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> None:
    monkeypatch.setattr(bindings, "version", lambda package: "1")
    fake = types.ModuleType("cuda.bindings")
    fake.__dict__["driver"] = FakeDriver(gpu)
    monkeypatch.setitem(sys.modules, "cuda.bindings", fake)
    assert isinstance(open_cuda(), CudaPython)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setitem(sys.modules, "pycuda", types.ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", fake_pycuda.FakePyCuda(gpu))
    sys.modules["pycuda"].__dict__["driver"] = fake_pycuda.FakePyCuda(gpu)
    assert isinstance(open_cuda(), PyCuda)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(ConfigError, match="pip install cuda-python"):
        open_cuda()


# ---- the fakes and the real thing


def functions(kind: type) -> list[str]:
    return [name for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"]


@pytest.mark.parametrize("name", [name for name in functions(FakeDriver) if name.startswith("cu")])
def test_fake_driver_has_the_signatures_of_cuda_python(name: str) -> None:
    fake = list(inspect.signature(getattr(FakeDriver, name)).parameters)[1:]
    assert fake == list(inspect.signature(getattr(real, name)).parameters)


def test_sticky_errors_are_those_of_which_cuda_says_so() -> None:
    members = list(Result)
    fatal = {code.name for code in members if "process must be" in " ".join((code.__doc__ or "").split())}
    assert len(fatal) > 8
    assert fatal <= STICKY <= {code.name for code in members}


@pytest.mark.parametrize(
    ("fake", "name"),
    [
        (FakeContext, "IExecutionContext"),
        (FakeEngine, "ICudaEngine"),
        (FakeRuntimeConfig, "IRuntimeConfig"),
    ],
)
def test_fake_tensorrt_has_the_signatures_of_the_real_one(fake: type, name: str) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    own = {"profile", "allows"}
    for method in set(functions(fake)) - own:
        documented = getattr(getattr(trt, name), method).__doc__
        parameters = list(inspect.signature(getattr(fake, method)).parameters)
        signatures = re.findall(rf"{method}\(self: [^,)]*((?:, \w+: [^=,)]*(?:= [^)]*)?)*)\) ->", documented)
        allowed = [["self", *re.findall(r", (\w+):", signature)] for signature in signatures]
        assert parameters in allowed, (method, parameters, allowed)


def test_names_that_the_runner_takes_from_tensorrt() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    assert trt.ExecutionContextAllocationStrategy.USER_MANAGED
    assert trt.DynamicShapesKernelSpecializationStrategy.EAGER
    assert trt.BuilderFlag.REQUIRE_USER_ALLOCATION
    assert {"serialize", "deserialize"} <= set(dir(trt.IRuntimeCache))
    assert "num_optimization_profiles" in dir(trt.ICudaEngine)
