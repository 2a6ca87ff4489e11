"""The fake GPU must notice what it is there to notice."""

from collections.abc import Callable

import numpy as np
import pytest

from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.runners.cuda import CudaPython
from hanjaserve.server.runners.lane import Lane
from hanjaserve.server.runners.tensorrt import TensorRtRunner

from .fake_gpu import FakeGpu
from .fake_tensorrt import doubled

TOKENS = np.arange(1, 17, dtype=np.int32).reshape(1, 16)
Open = Callable[..., TensorRtRunner]


def test_pinned_memory_that_changes_too_early(cuda: CudaPython, gpu: FakeGpu) -> None:
    with cuda.current():
        host, device, stream = cuda.pinned(4), cuda.memory(16), cuda.stream()
        cuda.copy_in(device, host, stream)
        host[0] += 1
        cuda.synchronize(stream)
    assert gpu.violations == ["pinned memory was changed while a copy from it was queued"]


def test_memory_of_another_stream(cuda: CudaPython, gpu: FakeGpu) -> None:
    with cuda.current():
        host, device = cuda.pinned(4), cuda.memory(16)
        for stream in (cuda.stream(), cuda.stream()):
            cuda.copy_in(device, host, stream)
    assert gpu.violations == ["copy in on memory that another CUDA stream uses"]


def test_memory_that_is_freed_too_early(cuda: CudaPython, gpu: FakeGpu) -> None:
    with cuda.current():
        host, device, stream = cuda.pinned(4), cuda.memory(16), cuda.stream()
        cuda.copy_in(device, host, stream)
    cuda.close()
    assert set(gpu.violations) == {"memory was freed while work on it was queued"}


@pytest.mark.parametrize("call", ["synchronize", "wait", "memory", "pinned"])
def test_what_a_capture_may_not_contain(cuda: CudaPython, gpu: FakeGpu, call: str) -> None:
    with cuda.current():
        stream, event = cuda.stream(), cuda.event()
        argument = {"synchronize": stream, "wait": event}.get(call, 4)
        try:
            cuda.capture(stream, lambda: getattr(cuda, call)(argument))
        except RuntimeFault as error:
            assert "capture unsupported" in str(error)
    assert len(gpu.violations) == 1 and "while capturing" in gpu.violations[0]


def test_capture_of_another_stream(cuda: CudaPython, gpu: FakeGpu) -> None:
    with cuda.current():
        one, other, host, device = cuda.stream(), cuda.stream(), cuda.pinned(4), cuda.memory(16)
        cuda.capture(one, lambda: cuda.copy_in(device, host, other))
    assert gpu.violations == ["copy in on another CUDA stream while capturing"]


@pytest.mark.parametrize("call", ["memory", "pinned"])
def test_allocation_after_warm_up(cuda: CudaPython, gpu: FakeGpu, call: str) -> None:
    gpu.frozen = True
    with cuda.current():
        getattr(cuda, call)(4)
    assert len(gpu.violations) == 1 and "after warm-up" in gpu.violations[0]


# ---- mistakes that the runner could make


def test_runner_that_reads_before_the_event(
    open_runner: Open, monkeypatch: pytest.MonkeyPatch, cuda: CudaPython
) -> None:
    runner = open_runner()
    monkeypatch.setattr(cuda, "wait", lambda event: None)
    assert not np.array_equal(runner.run(TOKENS), doubled(TOKENS))


def test_runner_that_forgets_the_copy_in(
    gpu: FakeGpu, open_runner: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CudaPython, "copy_in", lambda *arguments: None)
    with pytest.raises(AssertionError):
        open_runner()
    assert "a launch without a copy in before it" in gpu.violations


def test_runner_that_reuses_a_lane_in_flight(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner(lanes=1)
    runner.submit(TOKENS)
    runner._lanes[0].busy = False
    runner.submit(TOKENS + 1).result()
    assert "pinned memory was changed while a copy from it was queued" in gpu.violations


def test_lanes_that_share_their_scratch_memory(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner(use_graphs=False)
    gpu.frozen = False
    one, two = ([c.scratch for c in lane._contexts] for lane in runner._lanes)
    assert not set(one) & set(two)
    for context in runner._lanes[1]._contexts:
        context.scratch = one[0]
    runner.submit(TOKENS)
    runner.submit(TOKENS)
    assert "kernel on memory that another CUDA stream uses" in gpu.violations


def test_runner_that_sets_a_shape_while_serving(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    runner._lanes[0].graphs.clear()
    runner.run(TOKENS)
    assert gpu.violations == ["a shape was set after warm-up"]


def test_capture_right_after_a_change_of_shape(
    open_runner: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsettled(lane: Lane, bucket: object) -> None:
        for context in lane._contexts:
            context.settled = False
            context.shape = context.shape or (1, 16)

    monkeypatch.setattr(Lane, "_queue_now", unsettled)
    with pytest.raises(AssertionError):
        open_runner()
    assert "captured without a run after the change of shape" in gpu.violations
