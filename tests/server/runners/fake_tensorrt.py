"""TensorRT over a FakeGpu: as much of its API as a runner calls, for both flavours.

The engine doubles every token: candidates [2 * token, 2 * token + 1]. A plan is the text "plan".
"""

import types
from typing import Any

import numpy as np

from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.shapes import Int32

from .fake_gpu import SPOILT, TOP_K, FakeGpu, Op, _view

SCRATCH = 4096


class FakeContext:
    """IExecutionContext."""

    def __init__(self, engine: "FakeEngine") -> None:
        self.engine, self.gpu = engine, engine.gpu
        self.profile = 0
        self.shape: tuple[int, int] | None = None
        self.settled = False
        self.selected = True
        self.scratch = (0, 0)
        self.addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._serving("an optimization profile was set")
        self.profile, self.selected = profile_index, False

        def select() -> None:
            self.selected = True

        self.gpu.queue(stream_handle, Op("profile", (0, 0), (0, 0), select))
        return self.engine.allows("profile")

    def set_device_memory(self, memory: int, size: int) -> None:
        if not self.selected:
            self.gpu.violations.append("a context was used before its profile was selected")
        assert size >= self.engine.get_device_memory_size_for_profile_v2(self.profile)
        self.scratch = (memory, size)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return self.engine.allows("address")

    def set_input_shape(self, name: str, shape: tuple[int, int]) -> bool:
        if self.gpu.graphs:
            self._serving("a shape was set")
        least, _, most = self.engine.profile(self.profile)
        assert all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True)), (shape, least, most)
        self.settled = self.settled and shape == self.shape
        self.shape = shape
        return self.engine.allows("shape")

    def is_stream_capturable(self, stream: int) -> bool:
        return self.engine.capturable

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.gpu.calls.append("execute_async_v3")
        if not self.engine.allows("execute"):
            return False
        assert self.shape is not None
        if self.gpu.capturing and not self.settled:
            self.gpu.violations.append("captured without a run after the change of shape")
        size = 4 * self.shape[0] * self.shape[1]
        tokens, candidates = (self.addresses["tokens"], size), (self.addresses["candidates"], size * TOP_K)

        def kernel() -> None:
            if tokens[0] not in self.gpu.fresh_input:
                self.gpu.violations.append("a launch without a copy in before it")
            self.gpu.fresh_input.discard(tokens[0])
            values = _view(tokens).view(np.int32)
            _view(candidates).view(np.int32)[:] = doubled(values).reshape(-1)
            _view(tokens)[:] = SPOILT

        self.gpu.queue(stream_handle, Op("kernel", tokens, candidates, kernel, scratch=self.scratch))
        self.settled = self.settled or not self.gpu.capturing
        return True

    def _serving(self, what: str) -> None:
        if self.gpu.frozen:
            self.gpu.violations.append(f"{what} after warm-up")


class FakeCache:
    """IRuntimeCache."""

    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, blob: bytes) -> bool:
        good = blob.startswith(b"kernels")
        self.content = blob if good else b""
        return good

    def serialize(self) -> bytes:
        return self.content or b"kernels"


class FakeRuntimeConfig:
    """IRuntimeConfig, of RTX."""

    def __init__(self) -> None:
        self.strategy = self.cache = self.dynamic_shapes_kernel_specialization_strategy = None

    def create_runtime_cache(self) -> FakeCache:
        return FakeCache()

    def set_runtime_cache(self, cache: Any) -> bool:
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy


class FakeEngine:
    """ICudaEngine."""

    def __init__(self, gpu: FakeGpu, log: Any, table: BucketTable, lanes: int) -> None:
        self.gpu, self.log, self.table = gpu, log, table
        self.capturable = True
        self.configs: list[Any] = []
        self.num_optimization_profiles = lanes * len(table.profiles)

    def profile(self, index: int) -> Any:
        profile = self.table.profiles[index % len(self.table.profiles)]
        return profile.least, profile.best, profile.most

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return SCRATCH * (1 + profile_index % len(self.table.profiles))

    def create_runtime_config(self) -> FakeRuntimeConfig:
        return FakeRuntimeConfig()

    def create_execution_context(self, strategy: Any) -> FakeContext | None:
        self.configs.append(strategy)
        return FakeContext(self) if self.allows("context") else None

    def allows(self, what: str) -> bool:
        """False, and a message in the log, if a failure of "trt.<what>" is due."""
        planned = self.gpu.failures[f"trt.{what}"]
        said = planned.popleft() if planned else None
        if said is not None:
            self.log.log(types.SimpleNamespace(name="ERROR"), str(said))
        return said is None


class FakeTensorRt:
    """The module."""

    class ILogger:
        pass

    ExecutionContextAllocationStrategy = types.SimpleNamespace(USER_MANAGED="user managed")
    DynamicShapesKernelSpecializationStrategy = types.SimpleNamespace(EAGER="eager")

    def __init__(self, gpu: FakeGpu, table: BucketTable, lanes: int) -> None:
        self.gpu, self.table, self.lanes = gpu, table, lanes
        self.engine: FakeEngine | None = None
        self.capturable = True

    def Runtime(self, log: Any) -> Any:
        def deserialize_cuda_engine(serialized_engine: bytes) -> FakeEngine | None:
            engine = FakeEngine(self.gpu, log, self.table, self.lanes)
            engine.capturable = self.capturable
            self.engine = engine
            if serialized_engine != b"plan":
                log.log(types.SimpleNamespace(name="ERROR"), "the engine plan file is not compatible")
                return None
            return engine

        return types.SimpleNamespace(deserialize_cuda_engine=deserialize_cuda_engine)


def flavour_of(api: FakeTensorRt, name: str = "tensorrt") -> Flavour:
    return Flavour(name=name, version="11.0", api=api)


def doubled(tokens: Int32) -> Int32:
    """What the fake engine computes."""
    return np.stack([tokens * 2, tokens * 2 + 1], axis=-1)
