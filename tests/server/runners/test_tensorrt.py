"""The GPU runner against a fake GPU: ordering, memory, overlap, every kind of failure. See fake_gpu.py."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanjaserve.server.errors import DeviceLost, HanjaserveError, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.runners.base import OverlappingRunner
from hanjaserve.server.runners.cuda import CudaPython, PyCuda
from hanjaserve.server.runners.driver import STICKY
from hanjaserve.server.runners.tensorrt import Plan, TensorRtRunner
from hanjaserve.server.shapes import Int32

from .conftest import PAD, TABLE, spec_of
from .fake_gpu import TOP_K, FakeDriver, FakeGpu, Result
from .fake_tensorrt import FakeTensorRt, doubled, flavour_of

Open = Callable[..., TensorRtRunner]
RANDOM = np.random.default_rng(4)
OOM = Result.CUDA_ERROR_OUT_OF_MEMORY


def batch(rows: int, length: int) -> Int32:
    return RANDOM.integers(1, 50_000, (rows, length), dtype=np.int32)


def assert_answers(runner: TensorRtRunner, *shapes: tuple[int, int]) -> None:
    for shape in shapes or ((1, 1), (3, 20), (16, 16)):
        tokens = batch(*shape)
        np.testing.assert_array_equal(runner.run(tokens), doubled(tokens))


# ---- what it computes


def test_graphs_serve_every_bucket(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    assert isinstance(runner, OverlappingRunner)
    assert runner.name == f"tensorrt 11.0 (2 lanes, {2 * len(TABLE.buckets)} CUDA graphs)"
    for bucket in TABLE.buckets:
        assert_answers(runner, (bucket.rows, bucket.tokens), (1, bucket.tokens - 3))
    assert "execute_async_v3" not in gpu.calls
    assert gpu.violations == []


@pytest.mark.parametrize("graphs", [True, False])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 128)), min_size=1, max_size=4))
def test_any_sequence_of_batches(shapes: list[tuple[int, int]], graphs: bool) -> None:
    gpu = FakeGpu()
    runner = make(gpu, use_graphs=graphs)
    assert_answers(runner, *shapes)
    assert gpu.violations == []


def make(gpu: FakeGpu, **options: Any) -> TensorRtRunner:
    plan = Plan(spec=spec_of(), content=b"plan")
    flavour = flavour_of(FakeTensorRt(gpu, TABLE, 2))
    runner = TensorRtRunner(flavour, plan, CudaPython(FakeDriver(gpu)), pad_id=PAD, top_k=TOP_K, **options)
    gpu.frozen = bool(options.get("use_graphs"))
    return runner


def test_padding_of_rows_and_batch_is_the_pad_token(
    open_runner: Open, monkeypatch: pytest.MonkeyPatch, cuda: CudaPython
) -> None:
    runner = open_runner(lanes=1)
    runner.run(np.full((16, 16), 7, np.int32))  # leaves its tokens behind in the buffers
    (lane,) = runner._lanes
    seen: list[Int32] = []
    launch = cuda.launch

    def look(graph: Any, stream: Any) -> None:
        seen.append(lane._tokens[: 4 * 16].reshape(4, 16).copy())
        launch(graph, stream)

    monkeypatch.setattr(cuda, "launch", look)
    runner.run(np.full((3, 5), 6, np.int32))
    assert (seen[0][:3, :5] == 6).all()
    assert (seen[0][:3, 5:] == PAD).all() and (seen[0][3:] == PAD).all()


def test_only_the_tokens_of_a_bucket_are_copied(open_runner: Open, gpu: FakeGpu) -> None:
    open_runner(lanes=1)
    copied = [
        (op.reads[1] if op.from_host else op.writes[1]) for ops in gpu.graphs.values() for op in ops[::2]
    ]
    sizes = [4 * bucket.rows * bucket.tokens for bucket in TABLE.buckets]
    assert copied == [size for tokens in sizes for size in (tokens, tokens * TOP_K)]


def test_graphs_are_uploaded_before_serving() -> None:
    gpu = FakeGpu()
    make(gpu)
    assert gpu.calls.count("cuGraphUpload") == 2 * len(TABLE.buckets)


def test_results_belong_to_the_caller(open_runner: Open) -> None:
    runner = open_runner(lanes=1)
    tokens = batch(2, 16)
    first = runner.run(tokens)
    runner.run(batch(2, 16))
    np.testing.assert_array_equal(first, doubled(tokens))


# ---- order of things


def test_two_batches_are_under_way_at_a_time(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    gpu.late = True
    one, two = batch(4, 30), batch(1, 100)
    flights = [runner.submit(one), runner.submit(two)]
    assert gpu.calls.count("cuGraphLaunch") == 2
    assert "cuEventSynchronize" not in gpu.calls  # both were queued before anything was waited for
    assert not any(flight.done() for flight in flights)
    np.testing.assert_array_equal(flights[1].result(), doubled(two))
    np.testing.assert_array_equal(flights[0].result(), doubled(one))
    assert gpu.violations == []


def test_done_asks_the_event(open_runner: Open, gpu: FakeGpu) -> None:
    flight = open_runner().submit(batch(1, 1))
    gpu.late = True
    assert not flight.done()
    gpu.late = False
    assert flight.done()
    assert "cuEventQuery" in gpu.calls


def test_tokens_may_change_once_submitted(open_runner: Open) -> None:
    runner = open_runner()
    tokens = batch(2, 16)
    expected = doubled(tokens)
    flight = runner.submit(tokens)
    tokens[:] = 0
    np.testing.assert_array_equal(flight.result(), expected)


def test_more_than_its_depth_is_a_bug(open_runner: Open) -> None:
    runner = open_runner()
    flights = [runner.submit(batch(1, 1)) for _ in range(runner.depth)]
    with pytest.raises(RuntimeFault, match="more than 2 batches"):
        runner.submit(batch(1, 1))
    for flight in flights:
        flight.result()
    runner.submit(batch(1, 1)).result()


def test_batch_over_the_budget_runs_in_overlapping_parts(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    assert_answers(runner, (100, 16), (7, 128))
    order = [call for call in gpu.calls if call in ("cuGraphLaunch", "cuEventSynchronize")]
    assert order[:3] == ["cuGraphLaunch", "cuGraphLaunch", "cuEventSynchronize"]
    tokens = batch(40, 16)
    flight = runner.submit(tokens)
    assert flight.done()
    np.testing.assert_array_equal(flight.result(), doubled(tokens))


def test_oversized_batch_beside_another(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    first = batch(1, 16)
    flight = runner.submit(first)
    assert_answers(runner, (100, 16))
    np.testing.assert_array_equal(flight.result(), doubled(first))
    assert gpu.violations == []


def test_row_that_is_too_long(open_runner: Open) -> None:
    with pytest.raises(RuntimeFault, match="129 tokens"):
        open_runner().run(batch(1, 129))


# ---- opening


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_every_context_keeps_one_profile_of_its_own(open_runner: Open, gpu: FakeGpu, lanes: int) -> None:
    runner = open_runner(lanes=lanes)
    contexts = [context for lane in runner._lanes for context in lane._contexts]
    assert [context.profile for context in contexts] == list(range(lanes * len(TABLE.profiles)))
    assert runner.depth == lanes


def test_graphs_can_be_switched_off(open_runner: Open, gpu: FakeGpu) -> None:
    gpu_calls = open_runner(use_graphs=False)
    gpu.frozen = False  # shapes are set for every batch then
    assert_answers(gpu_calls)
    assert "cuGraphLaunch" not in gpu.calls and "0 CUDA graphs" in gpu_calls.name
    assert gpu.violations == []


def test_pycuda_has_no_graphs(open_runner: Open, gpu: FakeGpu, pycuda: PyCuda) -> None:
    runner = open_runner(driver=pycuda)
    gpu.graphs.clear()
    assert_answers(runner)
    assert "0 CUDA graphs" in runner.name and gpu.violations == []
    runner.close()
    assert gpu.contexts.depth == 0


def test_bucket_that_cannot_be_captured_is_queued(
    open_runner: Open, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.fail("cuStreamEndCapture", Result.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
    runner = open_runner(lanes=1)
    assert f"{len(TABLE.buckets) - 1} CUDA graphs" in runner.name
    assert "has no CUDA graph" in caplog.text and "16x16" in caplog.text
    gpu.frozen = False
    assert_answers(runner, (16, 16), (1, 100))
    assert gpu.violations == []


def test_failing_while_capturing_ends_the_capture(open_runner: Open, gpu: FakeGpu) -> None:
    count = len(TABLE.buckets)
    gpu.fail("trt.execute", "it can't be captured", after=1)
    runner = open_runner(lanes=1)
    assert f"{count - 1} CUDA graphs" in runner.name and not gpu.capturing


def test_rtx_compiles_for_the_shapes_and_keeps_the_kernels(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner(flavour="tensorrt-rtx")
    assert runner._engine is not None
    (config, *_) = runner._engine.engine.configs
    assert config.strategy == "user managed"
    assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
    assert config.cache is runner._engine.runtime_cache
    assert runner.kernels == b"kernels"
    again = open_rtx_again(open_runner, gpu, b"kernels of before")
    assert again.kernels == b"kernels of before"


def open_rtx_again(open_runner: Open, gpu: FakeGpu, kernels: bytes) -> TensorRtRunner:
    gpu.frozen = False
    return open_runner(flavour="tensorrt-rtx", kernels=kernels)


def test_kernels_of_another_gpu_are_ignored(
    open_runner: Open, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert open_rtx_again(open_runner, gpu, b"foreign").kernels == b"kernels"
    assert "another GPU or driver" in caplog.text


def test_data_centre_flavour_keeps_no_kernels(open_runner: Open) -> None:
    assert open_runner().kernels == b""


def test_rtx_context_that_is_not_capturable(
    open_runner: Open, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    runner = open_runner(flavour="tensorrt-rtx", capturable=False)
    gpu.frozen = False
    assert_answers(runner)
    assert "0 CUDA graphs" in runner.name and "can't be a CUDA graph" in caplog.text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("trt.context", "creating an execution context failed: broken"),
        ("trt.profile", "selecting optimization profile 0 failed: broken"),
        ("trt.address", "setting the address of tokens failed: broken"),
        ("trt.shape", "setting the shape 16x16 failed: broken"),
        ("trt.execute", "queuing 16x16 failed: broken"),
    ],
)
def test_plan_that_does_not_run(open_runner: Open, gpu: FakeGpu, call: str, message: str) -> None:
    gpu.fail(call, "broken")
    with pytest.raises(RuntimeFault, match=message):
        open_runner()
    assert gpu.memory == {}, "everything is given back"


def test_foreign_plan(open_runner: Open, gpu: FakeGpu) -> None:
    with pytest.raises(RuntimeFault, match=r"can't load the plan on this GPU: .*not compatible"):
        open_runner(content=b"of another version")
    assert gpu.memory == {}


def test_plan_for_fewer_lanes(open_runner: Open, gpu: FakeGpu) -> None:
    with pytest.raises(RuntimeFault, match="2 optimization profiles, too few for lane 2"):
        open_runner(lanes=2, plan_lanes=1)


def test_too_little_memory_for_a_second_lane(
    open_runner: Open, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.fail("cuMemAlloc", Result.CUDA_ERROR_OUT_OF_MEMORY, after=3)
    runner = open_runner(lanes=2)
    assert runner.depth == 1 and "1 of 2 lanes fit" in caplog.text
    assert_answers(runner, (100, 16))


def test_too_little_memory_for_a_graph_is_no_reason_to_do_without_graphs(
    open_runner: Open, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.fail("cuGraphInstantiate", OOM, after=len(TABLE.buckets) + 2)
    runner = open_runner(lanes=2)
    assert runner.name.endswith(f"(1 lane, {len(TABLE.buckets)} CUDA graphs)")
    assert "1 of 2 lanes fit" in caplog.text


def test_too_little_memory_for_one_lane(open_runner: Open, gpu: FakeGpu) -> None:
    gpu.capacity = 5000
    with pytest.raises(OutOfDeviceMemory, match="cuMemAlloc failed"):
        open_runner()
    assert gpu.memory == {}


@pytest.mark.parametrize("said", ["OutOfMemory: no further detail", "insufficient device memory"])
def test_tensorrt_itself_runs_out_of_memory(open_runner: Open, gpu: FakeGpu, said: str) -> None:
    gpu.fail("trt.context", said)
    with pytest.raises(OutOfDeviceMemory):
        open_runner()


def test_failure_without_a_word(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    assert runner._engine is not None
    runner._engine.log.errors.clear()
    assert "does not say why" in str(runner._engine.fault("anything"))


def test_close_frees_everything(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    runner.close()
    assert gpu.memory == {} and gpu.violations == []
    graphs = 2 * len(TABLE.buckets)
    for destroyed, made in (("cuStreamDestroy", 2), ("cuEventDestroy", 2), ("cuGraphExecDestroy", graphs)):
        assert gpu.calls.count(destroyed) == made
    assert gpu.calls[-1] == "cuDevicePrimaryCtxRelease"


# ---- out of memory


@pytest.mark.parametrize("call", ["cuGraphLaunch", "cuEventSynchronize"])
@pytest.mark.parametrize("rows", [4, 5, 16])
def test_out_of_memory_tries_smaller_buckets_once(
    open_runner: Open, gpu: FakeGpu, call: str, rows: int
) -> None:
    runner = open_runner()
    for run in (runner.run, lambda tokens: runner.submit(tokens).result()):
        gpu.calls.clear()
        gpu.fail(call, OOM)
        tokens = batch(rows, 16)
        np.testing.assert_array_equal(run(tokens), doubled(tokens))
        assert gpu.calls.count("cuGraphLaunch") == 3  # the whole, and two halves
    gpu.fail(call, OOM)
    gpu.fail(call, OOM)
    with pytest.raises(OutOfDeviceMemory):
        runner.run(batch(rows, 16))
    assert_answers(runner)


def test_out_of_memory_with_one_row_or_in_one_of_several_parts(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    gpu.fail("cuGraphLaunch", OOM)
    with pytest.raises(OutOfDeviceMemory):
        runner.submit(batch(1, 16)).result()
    gpu.fail("cuGraphLaunch", OOM, after=1)
    tokens = batch(50, 16)
    np.testing.assert_array_equal(runner.run(tokens), doubled(tokens))


# ---- other errors


def test_error_of_one_batch_leaves_the_runner_alive(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    for call in ("cuGraphLaunch", "cuEventRecord", "cuEventSynchronize"):
        gpu.fail(call, Result.CUDA_ERROR_INVALID_VALUE)
        gpu.late = True
        with pytest.raises(RuntimeFault, match=rf"{call} failed: invalid value \(CUDA_ERROR_INVALID_VALUE\)"):
            runner.run(batch(2, 2))
        assert_answers(runner)
        assert gpu.violations == []
    gpu.fail("cuGraphLaunch", Result.CUDA_ERROR_INVALID_VALUE, after=1)
    with pytest.raises(RuntimeFault):
        runner.run(batch(40, 16))
    gpu.fail("cuGraphLaunch", Result.CUDA_ERROR_INVALID_VALUE, after=1)
    gpu.fail("cuEventSynchronize", Result.CUDA_ERROR_INVALID_VALUE)
    with pytest.raises(RuntimeFault):
        runner.run(batch(40, 16))
    assert_answers(runner, (100, 16))


def test_error_of_a_query_is_told_by_the_result(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner()
    flight = runner.submit(batch(1, 1))
    gpu.fail("cuEventQuery", Result.CUDA_ERROR_LAUNCH_FAILED)
    assert flight.done()
    with pytest.raises(DeviceLost):
        flight.result()


@pytest.mark.parametrize("code", sorted(STICKY))
@pytest.mark.parametrize("call", ["cuGraphLaunch", "cuEventRecord", "cuEventSynchronize"])
def test_sticky_error_loses_the_gpu_for_good(open_runner: Open, gpu: FakeGpu, code: str, call: str) -> None:
    runner = open_runner()
    gpu.fail(call, getattr(Result, code))
    with pytest.raises(DeviceLost, match=f"{call} failed: .*{code}.*start again"):
        runner.run(batch(2, 2))
    before = len(gpu.calls)
    for later in (
        lambda: runner.run(batch(1, 1)),
        lambda: runner.submit(batch(1, 1)),
        lambda: runner.kernels,
    ):
        with pytest.raises(DeviceLost):
            later()
    runner.close()
    assert len(gpu.calls) == before, "a lost GPU is left alone"


def test_gpu_that_is_lost_while_opening(open_runner: Open, gpu: FakeGpu) -> None:
    gpu.fail("cuStreamSynchronize", Result.CUDA_ERROR_ILLEGAL_ADDRESS, after=5)
    with pytest.raises(DeviceLost):
        open_runner()


def test_gpu_that_is_lost_while_capturing(open_runner: Open, gpu: FakeGpu) -> None:
    gpu.fail("cuStreamBeginCapture", Result.CUDA_ERROR_ILLEGAL_ADDRESS, after=2)
    with pytest.raises(DeviceLost):
        open_runner()


def test_tensorrt_does_not_say_that_the_gpu_is_lost(open_runner: Open, gpu: FakeGpu) -> None:
    runner = open_runner(use_graphs=False)
    gpu.frozen = False
    gpu.fail("trt.execute", "Cask convolution execution")
    with pytest.raises(RuntimeFault, match="queuing 1x16 failed: Cask") as caught:
        runner.run(batch(1, 1))
    assert not isinstance(caught.value, DeviceLost)
    gpu.fail("trt.execute", "Cask convolution execution")
    gpu.fail("cuStreamSynchronize", Result.CUDA_ERROR_ILLEGAL_ADDRESS)
    with pytest.raises(DeviceLost):
        runner.run(batch(1, 1))


@pytest.mark.parametrize("code", [code for code in Result if int(code)], ids=lambda code: code.name)
def test_every_error_code_is_one_of_three_kinds(open_runner: Open, gpu: FakeGpu, code: Any) -> None:
    runner = open_runner(lanes=1)
    gpu.fail("cuGraphLaunch", code)
    with pytest.raises(HanjaserveError) as caught:
        runner.run(batch(1, 1))
    wanted = DeviceLost if code.name in STICKY else OutOfDeviceMemory if code == OOM else RuntimeFault
    assert type(caught.value) is wanted


@pytest.mark.parametrize("graphs", [True, False])
def test_replay_uses_all_lanes(open_runner: Open, gpu: FakeGpu, graphs: bool) -> None:
    runner = open_runner(use_graphs=graphs)
    gpu.frozen = graphs
    runner.replay(TABLE.buckets[0], 5)
    call = "cuGraphLaunch" if graphs else "execute_async_v3"
    assert gpu.calls.count(call) == 5 and not any(gpu.queues.values())
    assert gpu.violations == []
    assert_answers(runner)
