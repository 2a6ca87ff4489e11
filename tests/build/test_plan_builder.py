"""Against the real TensorRT for RTX, which parses and builds without a GPU."""

import types
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hanjaserve.build.plan_builder import _reason, build_plan
from hanjaserve.server.errors import BuildError
from hanjaserve.server.runners.flavours import Flavour, open_flavour
from hanjaserve.server.runners.plans import ANY, PlanSpec, builder_flags

pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="session")
def rtx() -> Flavour:
    return open_flavour("tensorrt-rtx")


def spec(rtx: Flavour, compute: str = ANY, lanes: int = 1) -> PlanSpec:
    return PlanSpec(
        onnx_sha256="", flavour=rtx.name, version=rtx.version, device=ANY, compute=compute,
        lengths=(16, 32), max_batch_tokens=128, lanes=lanes, flags=builder_flags(rtx),
    )  # fmt: skip


def look_up(width: int = 4, operator: str = "Gather", output: int = TensorProto.INT32) -> bytes:
    """The smallest engine graph: a table of candidates."""
    table = numpy_helper.from_array(np.arange(100 * width, dtype=np.int32).reshape(100, width), "table")
    node = helper.make_node(operator, ["table", "tokens"], ["found"], name="look_up")
    cast = helper.make_node("Cast", ["found"], ["candidates"], to=output)
    graph = helper.make_graph(
        [node, cast], "g",
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, ["batch", "tokens"])],
        [helper.make_tensor_value_info("candidates", output, ["batch", "tokens", width])], [table],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def test_builds_and_tells_how_far_it_is(rtx: Flavour) -> None:
    steps: list[tuple[str, int, int]] = []
    built = build_plan(rtx, look_up(), spec(rtx), progress=lambda *step: steps.append(step))
    assert len(built.plan) > 1000
    assert steps[-1][1] == steps[-1][2] > 0
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


def test_timing_cache_comes_back_and_a_damaged_one_does_no_harm(rtx: Flavour) -> None:
    first = build_plan(rtx, look_up(), spec(rtx))
    assert first.timing_cache
    assert build_plan(rtx, look_up(), spec(rtx), timing_cache=first.timing_cache).plan
    assert build_plan(rtx, look_up(), spec(rtx), timing_cache=b"no cache at all").plan


def test_target(rtx: Flavour) -> None:
    assert build_plan(rtx, look_up(), spec(rtx, "8.9")).plan
    with pytest.raises(BuildError, match=r"no target SM90: use one of .*SM89"):
        build_plan(rtx, look_up(), spec(rtx, "9.0"))


def test_every_lane_has_profiles_of_its_own(rtx: Flavour) -> None:
    one, two = (len(build_plan(rtx, look_up(), spec(rtx, lanes=lanes)).plan) for lanes in (1, 2))
    assert two > one


def test_unknown_operator_is_named(rtx: Flavour) -> None:
    with pytest.raises(BuildError, match=r"can't parse the graph: .*look_up"):
        build_plan(rtx, look_up(operator="Conjure"), spec(rtx))


def test_no_onnx_at_all(rtx: Flavour) -> None:
    with pytest.raises(BuildError, match="can't parse the graph"):
        build_plan(rtx, b"\xff" * 50, spec(rtx))


def test_too_many_bytes_per_token(rtx: Flavour) -> None:
    with pytest.raises(BuildError, match="20 bytes per token, but at most 16"):
        build_plan(rtx, look_up(width=5), spec(rtx))


def test_output_of_another_type(rtx: Flavour) -> None:
    with pytest.raises(BuildError, match="int32 'candidates' out"):
        build_plan(rtx, look_up(output=TensorProto.FLOAT), spec(rtx))


def test_graph_that_parses_but_cannot_be_built(rtx: Flavour) -> None:
    model = onnx.load_from_string(look_up())
    # Contradicts the profiles: a row of exactly 7 tokens.
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    with pytest.raises(BuildError, match=r"profile|can't build"):
        build_plan(rtx, model.SerializeToString(), spec(rtx))


@pytest.mark.parametrize(
    "said",
    ["Requested amount of GPU memory (42 bytes) could not be allocated: OutOfMemory", "insufficient memory"],
)
def test_too_little_memory_is_told_apart(said: str) -> None:
    flavour = Flavour(name="tensorrt", version="11.4", api=types.SimpleNamespace())
    assert "too little GPU memory" in _reason(flavour, ["first", said])
    assert _reason(flavour, ["some error"]) == "tensorrt 11.4 can't build the plan: some error"
    assert "does not say why" in _reason(flavour, [])


def test_builds_leave_nothing_behind(rtx: Flavour) -> None:
    before = set(Path.cwd().iterdir())
    build_plan(rtx, look_up(), spec(rtx))
    assert set(Path.cwd().iterdir()) == before
