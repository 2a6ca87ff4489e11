"""The rungs of the GPU: what must be there, what is done about a missing plan, what a user is told."""

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hanjaserve.server.bundle import Bundle, write_manifest
from hanjaserve.server.errors import (
    ConfigError,
    DeviceLost,
    NotInstalled,
    OutOfDeviceMemory,
    RuntimeFault,
)
from hanjaserve.server.runners import gpu as rungs
from hanjaserve.server.runners.cuda import CudaPython
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.runners.gpu import GpuOptions, TensorRtKind, gpu_rungs, start_build
from hanjaserve.server.runners.ladder import RUNGS, open_runner, rungs_for
from hanjaserve.server.runners.onnxruntime import OnnxRunner
from hanjaserve.server.runners.plans import PlanCache, PlanSpec
from hanjaserve.server.runners.rung import Rung
from tests.support.tiny import make_tiny_bundle

from .fake_gpu import TOP_K, FakeDriver, FakeGpu, Result
from .fake_tensorrt import FakeTensorRt


def bundle_in(folder: Path, top_k: int) -> Bundle:
    """The tiny bundle, with something in the place of an FP16 graph."""
    make_tiny_bundle(folder)
    (folder / "model.fp16.onnx").write_bytes(b"a graph")
    (folder / "manifest.json").unlink()
    write_manifest(
        folder, name="tiny", scheme="syllable", reading_mask=True, top_k=top_k, max_tokens=64,
        context_tokens=8, pad_id=0, styles={"modern": 1, "scripture": 2}, cpu_runtime="onnxruntime",
        metrics={}, provenance={},
    )  # fmt: skip
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With as many candidates as the fake engine gives."""
    return bundle_in(tmp_path_factory.mktemp("gpu") / "tiny", TOP_K)


class Machine:
    """A machine with a fake GPU, a fake TensorRT, a plan cache, and a note of every build that was begun."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, name: str = "tensorrt") -> None:
        self.gpu = FakeGpu()
        self.options = GpuOptions(max_batch_tokens=128, lengths=(16, 32), lanes=1, cache_root=root)
        self.builds: list[tuple[Sequence[str], PlanSpec]] = []
        self.kind = TensorRtKind(name, self.options, driver=self.driver, build=self.build)
        monkeypatch.setattr(rungs, "installed_flavours", lambda: ("tensorrt", "tensorrt-rtx"))
        monkeypatch.setattr(rungs, "open_flavour", self.flavour)

    def driver(self) -> CudaPython:
        return CudaPython(FakeDriver(self.gpu))

    def flavour(self, name: str) -> Flavour:
        from hanjaserve.server.runners.buckets import BucketTable

        table = BucketTable.for_model(64, 128, (16, 32))
        return Flavour(name=name, version="11.0", api=FakeTensorRt(self.gpu, table, 1))

    def build(self, command: Sequence[str], cache: PlanCache, spec: PlanSpec) -> None:
        self.builds.append((command, spec))

    def wanted(self, bundle: Bundle) -> PlanSpec:
        """The spec of the plan that it looks for last."""
        with pytest.raises(RuntimeFault):
            self.kind.open(bundle, 0)
        return self.builds.pop()[1]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "plans", monkeypatch)


def test_without_a_plan_one_is_built_for_next_time(machine: Machine, bundle: Bundle) -> None:
    with pytest.raises(
        RuntimeFault, match=r"no plan for tensorrt 11.0 in .*; one is being built, and serves"
    ):
        machine.kind.open(bundle, 0)
    ((command, spec),) = machine.builds
    assert (spec.device, spec.compute, spec.lanes) == ("Fake GPU", "8.9", 1)
    text = " ".join(command)
    assert f"build compile --bundle {bundle.root} --flavour tensorrt --lanes 1 --buckets 16,32,64" in text
    assert f"--max-batch-tokens 128 --cache {machine.options.cache_root}" in text
    assert machine.gpu.calls[-1] == "cuDevicePrimaryCtxRelease"


def test_with_a_plan_it_runs(machine: Machine, bundle: Bundle) -> None:
    spec = machine.wanted(bundle)
    machine.options.cache.save(spec, b"plan")
    runner = machine.kind.open(bundle, 0)
    assert runner.name == "tensorrt 11.0 (1 lane, 9 CUDA graphs)" and runner.spec == spec
    assert machine.builds == [] and not machine.options.cache.kernels_path(spec).exists()
    runner.close()
    assert machine.gpu.memory == {}


def test_rtx_takes_any_plan_and_keeps_its_kernels(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, monkeypatch, "tensorrt-rtx")
    spec = machine.wanted(bundle)
    assert (spec.device, spec.compute) == ("any", "any")
    machine.options.cache.save(spec, b"plan")
    kernels = machine.options.cache.kernels_path(spec)
    machine.kind.open(bundle, 0)
    assert kernels.read_bytes() == b"kernels"
    kernels.write_bytes(b"kernels, and more")
    machine.kind.open(bundle, 0)
    assert kernels.read_bytes() == b"kernels, and more"


@pytest.mark.parametrize("content", [b"of another version", None])
def test_plan_that_does_not_load_is_built_again(
    machine: Machine, bundle: Bundle, content: bytes | None
) -> None:
    spec = machine.wanted(bundle)
    path = machine.options.cache.save(spec, content or b"plan")
    if content is None:
        path.write_bytes(b"rubbish")
    with pytest.raises(RuntimeFault, match=r"can't load the plan|no plan file"):
        machine.kind.open(bundle, 0)
    assert [built for _, built in machine.builds] == [spec]
    assert path.exists() == (content is None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(Result.CUDA_ERROR_OUT_OF_MEMORY, OutOfDeviceMemory), (Result.CUDA_ERROR_LAUNCH_FAILED, DeviceLost)],
)
def test_fault_of_the_machine_is_not_the_plans(
    machine: Machine, bundle: Bundle, code: Any, kind: type[RuntimeFault]
) -> None:
    machine.options.cache.save(machine.wanted(bundle), b"plan")
    machine.gpu.fail("cuMemAlloc", code)
    with pytest.raises(kind):
        machine.kind.open(bundle, 0)
    assert machine.builds == []


def test_surprise_of_tensorrt_is_a_step_down_too(
    machine: Machine, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.options.cache.save(machine.wanted(bundle), b"plan")
    monkeypatch.delattr(FakeTensorRt, "ExecutionContextAllocationStrategy")
    with pytest.raises(RuntimeFault, match=r"tensorrt can't be used here: AttributeError"):
        machine.kind.open(bundle, 0)
    assert machine.gpu.memory == {} and machine.builds == []


def test_plan_that_fails_its_self_test_is_condemned(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The fake engine only doubles tokens, so it can't pass."""
    bundle = bundle_in(tmp_path / "bundle", 4)
    spec = machine.wanted(bundle)
    machine.options.cache.save(spec, b"plan")
    kind = machine.kind
    cpu = RUNGS[-1]
    ladder = (Rung(name="tensorrt", device="gpu", open=kind.open, condemn=kind.condemn), cpu)
    runner, steps = open_runner(bundle, "auto", 1, rungs=ladder)
    assert runner.name.startswith(cpu.name)
    assert len(steps) == 1 and steps[0].startswith("tensorrt: self-test of tensorrt 11.0")
    assert "runner tensorrt does not serve: self-test" in caplog.text
    assert [built for _, built in machine.builds] == [spec]
    assert not machine.options.cache.path(spec).exists() and machine.gpu.memory == {}


def test_what_is_not_installed_is_no_step_down(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rungs, "installed_flavours", lambda: ())
    bundle = Bundle.open(tiny_bundle)
    runner, steps = open_runner(bundle, "auto", 1)
    assert (runner.name.split()[0], steps, caplog.text) == ("onnxruntime", (), "")
    with pytest.raises(
        NotInstalled, match=r"tensorrt-rtx is not installed: pip install 'hanjaserve\[gpu-rtx\]'"
    ):
        open_runner(bundle, "tensorrt-rtx")
    with pytest.raises(NotInstalled, match="onnxruntime-gpu is not installed"):
        open_runner(bundle, "onnxruntime-cuda")


def test_without_a_gpu_the_step_down_has_a_reason(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none() -> Any:
        raise ConfigError("no NVIDIA driver: libcuda.so.1 is missing")

    monkeypatch.setattr(rungs, "installed_flavours", lambda: ("tensorrt-rtx",))
    kind = TensorRtKind("tensorrt-rtx", GpuOptions(), driver=none)
    ladder = (Rung(name=kind.name, device="gpu", open=kind.open), *rungs_for(GpuOptions())[-2:])
    runner, steps = open_runner(Bundle.open(tiny_bundle), "auto", 1, rungs=ladder)
    assert runner.name.startswith("onnxruntime")
    assert steps == ("tensorrt-rtx: no NVIDIA driver: libcuda.so.1 is missing",)
    assert "runner tensorrt-rtx does not serve" in caplog.text


def test_ladder_goes_from_the_gpu_down() -> None:
    names = [rung.name for rung in RUNGS]
    assert names == ["tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime", "openvino"]
    assert [rung.device for rung in gpu_rungs(GpuOptions())] == ["gpu"] * 3


def test_onnxruntime_that_falls_back_to_the_cpu_is_refused(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    fake = SimpleNamespace(
        __version__="1.30", SessionOptions=SimpleNamespace, InferenceSession=lambda *a, **k: session
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    with pytest.raises(RuntimeFault, match="can't use CUDAExecutionProvider here"):
        OnnxRunner(Path("model.onnx"), cuda=True)
    session.get_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert OnnxRunner(Path("model.onnx"), cuda=True).name == "onnxruntime 1.30 CUDA"


def test_build_in_the_background(machine: Machine, bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    spec, cache = machine.wanted(bundle), machine.options.cache
    with caplog.at_level(logging.INFO):
        start_build([sys.executable, "-c", "print('built')"], cache, spec)
    log = cache.path(spec).with_suffix(".log")
    deadline = time.monotonic() + 20
    while log.read_text() != "built\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "building a plan" in caplog.text


def test_one_build_at_a_time(
    machine: Machine, bundle: Bundle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, cache = machine.wanted(bundle), machine.options.cache

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(subprocess, "Popen", never)
    assert not cache.is_locked(spec)
    with cache.lock(spec), caplog.at_level(logging.INFO):
        assert cache.is_locked(spec)
        start_build(["build"], cache, spec)
    assert not cache.is_locked(spec)
    assert "is being built already" in caplog.text
