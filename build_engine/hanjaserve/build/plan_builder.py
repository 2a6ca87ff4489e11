"""Has TensorRT build a plan from an ONNX graph; either flavour.

What: parse the strongly typed FP16 graph, add the optimization profiles of every lane, build, and keep
the timing cache. Every message that TensorRT or its parser logs as an error ends up in the BuildError.
Not: it chooses no precision (the graph has it), writes no file, and should run in a process of its own,
because a builder that fails can take the process along and one that succeeds leaves memory behind; see
compile.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hanjaserve.server.errors import BuildError
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.runners.plans import ANY, PlanSpec

INPUT, OUTPUT = "tokens", "candidates"
OUTPUT_BYTES = 16
"""Most bytes per token that may leave the device."""
Progress = Callable[[str, int, int], None]
"""(phase, steps done, steps in all)."""

_MEMORY = re.compile(r"out ?of ?memory|insufficient.{0,20}memory|memory allocation|cudaMalloc", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build gives.

    Attributes:
        plan: For `Runtime.deserialize_cuda_engine`.
        timing_cache: Makes the next build on this GPU quicker; empty where nothing is timed.
    """

    plan: bytes
    timing_cache: bytes


def build_plan(
    flavour: Flavour,
    onnx: bytes,
    spec: PlanSpec,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
) -> Built:
    """Build the plan of a spec.

    Args:
        flavour: The one of the spec.
        onnx: The graph, FP16 and strongly typed.
        spec: Profiles, flags and, with RTX, the target.
        timing_cache: From an earlier build; a stale one is ignored.
        progress: Called from threads of TensorRT.

    Raises:
        BuildError: TensorRT refuses the graph or the target, or the GPU has too little memory.
    """
    api, log = flavour.api, flavour.logger()
    builder = api.Builder(log)
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(api, log, network, onnx)
    _check_network(api, network)
    config = builder.create_builder_config()
    for name in spec.flags:
        config.set_flag(getattr(api.BuilderFlag, name))
    _set_target(api, config, spec)
    _add_profiles(builder, config, spec)
    cache = config.create_timing_cache(timing_cache)
    config.set_timing_cache(cache, ignore_mismatch=False)
    monitor = _make_monitor(api, progress) if progress else None  # it must outlive the build
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError(_reason(flavour, log.errors))
    kept = config.get_timing_cache()
    return Built(plan=bytes(plan), timing_cache=bytes(kept.serialize()) if kept is not None else b"")


def _parse(api: Any, log: Any, network: Any, onnx: bytes) -> None:
    parser = api.OnnxParser(network, log)
    if parser.parse(onnx) and parser.num_errors == 0:
        return
    faults = []
    for number in range(parser.num_errors):
        error = parser.get_error(number)
        faults.append(f"{error.node_operator() or 'graph'} {error.node_name()}: {error.desc()}")
    raise BuildError(f"TensorRT can't parse the graph: {'; '.join(faults[:5] or log.errors[:5])}")


def _check_network(api: Any, network: Any) -> None:
    """Check the contract on what TensorRT made of the graph.

    Raises:
        BuildError: Other inputs or outputs than the engine graph has, or too large an output.
    """
    inputs = [network.get_input(number) for number in range(network.num_inputs)]
    outputs = [network.get_output(number) for number in range(network.num_outputs)]
    found = [(tensor.name, tensor.dtype) for tensor in (*inputs, *outputs)]
    if found != [(INPUT, api.int32), (OUTPUT, api.int32)]:
        raise BuildError(
            f"the graph has {found}, but the contract is int32 {INPUT!r} in, int32 {OUTPUT!r} out"
        )
    shape = tuple(outputs[0].shape)
    per_token = 4 * shape[-1] if len(shape) == 3 and shape[-1] > 0 else None
    if per_token is None or per_token > OUTPUT_BYTES:
        raise BuildError(
            f"{OUTPUT!r} has shape {list(shape)}, {per_token or 'an unknown number of'} bytes per token, "
            f"but at most {OUTPUT_BYTES} may leave the device: build the bundle again"
        )


def _set_target(api: Any, config: Any, spec: PlanSpec) -> None:
    if spec.flavour != "tensorrt-rtx" or spec.compute == ANY:
        return
    name = "SM" + spec.compute.replace(".", "")
    target = getattr(api.ComputeCapability, name, None)
    config.num_compute_capabilities = 1
    if target is None or not config.set_compute_capability(target, 0):
        known = ", ".join(known for known in dir(api.ComputeCapability) if known.startswith("SM"))
        raise BuildError(f"TensorRT for RTX {spec.version} has no target {name}: use one of {known}")


def _add_profiles(builder: Any, config: Any, spec: PlanSpec) -> None:
    # Contexts that share a profile have corrupted each other (NVIDIA/TensorRT #2648): one each.
    for _ in range(spec.lanes):
        for wanted in spec.buckets.profiles:
            profile = builder.create_optimization_profile()
            profile.set_shape(INPUT, wanted.least, wanted.best, wanted.most)
            if config.add_optimization_profile(profile) < 0:
                raise BuildError(f"TensorRT refuses the optimization profile {wanted}")


def _reason(flavour: Flavour, errors: list[str]) -> str:
    said = "; ".join(errors[:5]) or "it does not say why"
    if any(_MEMORY.search(error) for error in errors):
        return (
            f"{flavour.name} has too little GPU memory to build the plan: free some, or use a smaller "
            f"--max-batch-tokens ({said})"
        )
    return f"{flavour.name} {flavour.version} can't build the plan: {said}"


def _make_monitor(api: Any, progress: Progress) -> Any:
    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        """Passes the steps of the outermost phase on, with the name of what goes on inside."""

        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)
            self.outermost, self.inner = "", ""
            self.done, self.steps = 0, 1

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.outermost, self.done, self.steps = name, 0, max(1, steps)
            self.inner = name
            progress(self.inner, self.done, self.steps)

        def step_complete(self, name: str, step: int) -> bool:
            if name == self.outermost:
                self.done = step + 1
                progress(self.inner, self.done, self.steps)
            return True

        def phase_finish(self, name: str) -> None:
            if name == self.outermost:
                progress(name, self.steps, self.steps)

    return Monitor()
