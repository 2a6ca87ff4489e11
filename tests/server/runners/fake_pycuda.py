"""`pycuda.driver` over a FakeGpu, with the names and signatures of pycuda 2026.1's wrapper."""

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .fake_gpu import FakeDriver, FakeGpu, Result


class Error(Exception):
    pass


class LogicError(Error):
    pass


class LaunchError(Error):
    pass


class MemoryError(Error):
    pass


class FakePyCuda:
    """The module. Codes become exceptions as in translate_cuda_error."""

    Error, LogicError, LaunchError, MemoryError = Error, LogicError, LaunchError, MemoryError
    event_flags = types.SimpleNamespace(BLOCKING_SYNC=1, DISABLE_TIMING=2)

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu = gpu
        self.under = FakeDriver(gpu)
        outer = self

        class Device:
            def __init__(self, number: int) -> None:
                self.number = number

            @staticmethod
            def count() -> int:
                return int(outer._check("cuDeviceGetCount", outer.under.cuDeviceGetCount))

            def name(self) -> str:
                return "Fake GPU"

            def compute_capability(self) -> tuple[int, int]:
                return 8, 9

            def retain_primary_context(self) -> Any:
                outer._check("cuDevicePrimaryCtxRetain", outer.under.cuDevicePrimaryCtxRetain, 0)
                return types.SimpleNamespace(push=outer._push, pop=outer._pop, detach=lambda: None)

        self.Device = Device

    def init(self) -> None:
        self._check("cuInit", self.under.cuInit, 0)

    def mem_get_info(self) -> Any:
        return self._check("cuMemGetInfo", self.under.cuMemGetInfo)

    def mem_alloc(self, size: int) -> Any:
        address = int(self._check("cuMemAlloc", self.under.cuMemAlloc, size))

        class Allocation:
            def __int__(self) -> int:
                return address

            free = staticmethod(lambda: self._check("cuMemFree", self.under.cuMemFree, address))

        return Allocation()

    def pagelocked_empty(self, shape: int, dtype: Any, order: str = "C", mem_flags: int = 0) -> Any:
        address = self._check(
            "cuMemHostAlloc", self.under.cuMemHostAlloc, shape * np.dtype(dtype).itemsize, 0
        )
        interface = {
            "data": (address, False),
            "shape": (shape,),
            "typestr": np.dtype(dtype).str,
            "version": 3,
        }

        class PagelockedHostAllocation:
            __array_interface__ = interface
            free = staticmethod(lambda: self._check("cuMemFreeHost", self.under.cuMemFreeHost, address))

        return np.asarray(PagelockedHostAllocation())

    def Stream(self, flags: int = 0) -> Any:
        stream = self._check("cuStreamCreate", self.under.cuStreamCreate, flags)
        synchronize = lambda: self._check("cuStreamSynchronize", self.under.cuStreamSynchronize, stream)  # noqa: E731
        return types.SimpleNamespace(handle=stream, synchronize=synchronize)

    def Event(self, flags: int = 0) -> Any:
        event = self._check("cuEventCreate", self.under.cuEventCreate, flags)

        def query() -> bool:
            (error,) = self.under.cuEventQuery(event)
            if error == Result.CUDA_ERROR_NOT_READY:
                return False
            self._raise("cuEventQuery", error)
            return True

        return types.SimpleNamespace(
            record=lambda stream: self._check(
                "cuEventRecord", self.under.cuEventRecord, event, stream.handle
            ),
            synchronize=lambda: self._check("cuEventSynchronize", self.under.cuEventSynchronize, event),
            query=query,
        )

    def memcpy_htod_async(self, dest: int, src: Any, stream: Any) -> None:
        arguments = dest, src.ctypes.data, src.nbytes, stream.handle
        self._check("cuMemcpyHtoDAsync", self.under.cuMemcpyHtoDAsync, *arguments)

    def memcpy_dtoh_async(self, dest: Any, src: int, stream: Any) -> None:
        arguments = dest.ctypes.data, src, dest.nbytes, stream.handle
        self._check("cuMemcpyDtoHAsync", self.under.cuMemcpyDtoHAsync, *arguments)

    def _push(self) -> None:
        self.gpu.contexts.depth = getattr(self.gpu.contexts, "depth", 0) + 1

    def _pop(self) -> None:
        self.gpu.contexts.depth -= 1

    def _check(self, name: str, function: Callable[..., Any], *arguments: object) -> Any:
        error, *results = function(*arguments)
        self._raise(name, error)
        return results[0] if len(results) == 1 else results

    def _raise(self, name: str, error: Any) -> None:
        if error == Result.CUDA_SUCCESS:
            return
        kinds = {Result.CUDA_ERROR_OUT_OF_MEMORY: MemoryError, Result.CUDA_ERROR_LAUNCH_FAILED: LaunchError}
        words = {
            Result.CUDA_ERROR_LAUNCH_FAILED: "unspecified launch failure",
            Result.CUDA_ERROR_ILLEGAL_ADDRESS: "an illegal memory access was encountered",
        }
        said = words.get(error, error.name.removeprefix("CUDA_ERROR_").lower().replace("_", " "))
        raise kinds.get(error, LogicError)(f"{name} failed: {said}")
