"""CUDA over cuda-python or over pycuda: this file alone knows the difference (driver.py: what is asked).

cuda-python is the default: wheels, and CUDA graphs. pycuda comes as source, needs a CUDA toolkit to
install, and has no graphs; it is taken where cuda-python is missing. Both use the device's primary
context, the one that TensorRT, PyTorch and ONNX Runtime use as well.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import numpy as np

from hanjaserve.server.errors import ConfigError, RuntimeFault
from hanjaserve.server.runners.driver import (
    OUT_OF_MEMORY,
    STICKY,
    STICKY_TEXTS,
    Cuda,
    Device,
    Handle,
    fault_of,
)
from hanjaserve.server.shapes import Int32


def open_cuda() -> Cuda:
    """Open the first GPU by whichever binding is installed; CUDA_VISIBLE_DEVICES says which is first.

    Raises:
        ConfigError: No binding is installed, there is no driver, or no GPU.
    """
    try:
        from cuda.bindings import driver
    except ImportError:
        return _open_pycuda()
    return CudaPython(driver)


def _open_pycuda() -> Cuda:
    try:
        import pycuda.driver as driver
    except ImportError:
        raise ConfigError("no CUDA binding is installed: pip install cuda-python") from None
    return PyCuda(driver)


class _Freed:
    """Remembers how to free what was handed out, newest first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def add(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)

    def free(self) -> None:
        while self._undo:
            with suppress(RuntimeFault):  # the context is dead, and with it all of this
                self._undo.pop()()


class CudaPython:
    """CUDA by `cuda.bindings.driver`, whose functions return (error, results...). See `Cuda`."""

    has_graphs = True

    def __init__(self, driver: Any) -> None:
        self.name = f"cuda-python {version('cuda-bindings')}"
        self._driver = driver
        self._freed = _Freed()
        try:
            self._call("cuInit", 0)
            count = self._call("cuDeviceGetCount")
        except RuntimeFault as error:
            raise ConfigError(f"no NVIDIA GPU can be used: {error}") from None
        except Exception as error:  # no libcuda: a type that the package does not export
            raise ConfigError("no NVIDIA driver: libcuda can't be loaded") from error
        if count == 0:
            raise ConfigError("no NVIDIA GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES")
        self._device = self._call("cuDeviceGet", 0)
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)
        self._freed.add(lambda: self._call("cuDevicePrimaryCtxRelease", self._device))

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `Cuda.current`; it stays current afterwards, which costs nobody anything."""
        self._call("cuCtxSetCurrent", self._context)
        yield

    def device(self) -> Device:
        """See `Cuda.device`."""
        attribute = self._driver.CUdevice_attribute
        major, minor = (
            self._call("cuDeviceGetAttribute", which, self._device)
            for which in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        name: bytes = self._call("cuDeviceGetName", 128, self._device)
        free, total = self._call("cuMemGetInfo")
        return Device(
            name=name.split(b"\0")[0].decode(),
            compute=f"{major}.{minor}",
            memory_bytes=int(total),
            free_bytes=int(free),
        )

    def pinned(self, count: int) -> Int32:
        """See `Cuda.pinned`."""
        address = int(self._call("cuMemHostAlloc", 4 * count, 0))
        self._freed.add(lambda: self._call("cuMemFreeHost", address))
        return np.ctypeslib.as_array((ctypes.c_int32 * count).from_address(address))

    def memory(self, size: int) -> int:
        """See `Cuda.memory`."""
        address = self._call("cuMemAlloc", size)
        self._freed.add(lambda: self._call("cuMemFree", address))
        return int(address)

    def stream(self) -> Handle:
        """See `Cuda.stream`."""
        flags = int(self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
        stream = self._call("cuStreamCreate", flags)
        self._freed.add(lambda: self._call("cuStreamDestroy", stream))
        return stream

    def address(self, stream: Handle) -> int:
        """See `Cuda.address`."""
        return int(stream)

    def event(self) -> Handle:
        """See `Cuda.event`."""
        flags = self._driver.CUevent_flags
        event = self._call(
            "cuEventCreate", int(flags.CU_EVENT_BLOCKING_SYNC) | int(flags.CU_EVENT_DISABLE_TIMING)
        )
        self._freed.add(lambda: self._call("cuEventDestroy", event))
        return event

    def copy_in(self, target: int, source: Int32, stream: Handle) -> None:
        """See `Cuda.copy_in`."""
        self._call("cuMemcpyHtoDAsync", target, source.ctypes.data, source.nbytes, stream)

    def copy_out(self, target: Int32, source: int, stream: Handle) -> None:
        """See `Cuda.copy_out`."""
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, source, target.nbytes, stream)

    def record(self, event: Handle, stream: Handle) -> None:
        """See `Cuda.record`."""
        self._call("cuEventRecord", event, stream)

    def done(self, event: Handle) -> bool:
        """See `Cuda.done`."""
        (error,) = self._driver.cuEventQuery(event)
        if error == self._driver.CUresult.CUDA_ERROR_NOT_READY:
            return False
        self._check("cuEventQuery", error)
        return True

    def wait(self, event: Handle) -> None:
        """See `Cuda.wait`."""
        self._call("cuEventSynchronize", event)

    def synchronize(self, stream: Handle) -> None:
        """See `Cuda.synchronize`."""
        self._call("cuStreamSynchronize", stream)

    def capture(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """See `Cuda.capture`."""
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            self._driver.cuStreamEndCapture(stream)  # else the stream stays in capture mode
            raise
        graph = self._call("cuStreamEndCapture", stream)
        try:
            executable = self._call("cuGraphInstantiate", graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)
        self._freed.add(lambda: self._call("cuGraphExecDestroy", executable))
        # Else the first launch would do it, in the middle of serving.
        self._call("cuGraphUpload", executable, stream)
        return executable

    def launch(self, graph: Handle, stream: Handle) -> None:
        """See `Cuda.launch`."""
        self._call("cuGraphLaunch", graph, stream)

    def close(self) -> None:
        """See `Cuda.close`."""
        with suppress(RuntimeFault), self.current():
            self._freed.free()

    def _call(self, name: str, *arguments: object) -> Any:
        error, *results = getattr(self._driver, name)(*arguments)
        self._check(name, error)
        return results[0] if len(results) == 1 else results

    def _check(self, call: str, error: Any) -> None:
        if int(error) == 0:
            return
        _, text = self._driver.cuGetErrorString(error)
        words = (text or b"unknown").decode()
        raise fault_of(call, error.name, words, error.name in STICKY)


class PyCuda:
    """CUDA by `pycuda.driver`, which raises exceptions and knows no graphs. See `Cuda`."""

    has_graphs = False

    def __init__(self, driver: Any) -> None:
        self.name = f"pycuda {version('pycuda')}"
        self._driver = driver
        self._freed = _Freed()
        try:
            driver.init()
            count = driver.Device.count()
        except driver.Error as error:
            raise ConfigError(f"no NVIDIA GPU can be used: {error}") from None
        if count == 0:
            raise ConfigError("no NVIDIA GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES")
        self._device = driver.Device(0)
        self._context = self._guarded(self._device.retain_primary_context)

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `Cuda.current`; pycuda keeps a stack of contexts for every thread."""
        self._guarded(self._context.push)
        try:
            yield
        finally:
            self._guarded(self._context.pop)

    def device(self) -> Device:
        """See `Cuda.device`."""
        major, minor = self._guarded(self._device.compute_capability)
        free, total = self._guarded(self._driver.mem_get_info)
        return Device(
            name=self._device.name(), compute=f"{major}.{minor}", memory_bytes=total, free_bytes=free
        )

    def pinned(self, count: int) -> Int32:
        """See `Cuda.pinned`."""
        array: Int32 = self._guarded(self._driver.pagelocked_empty, count, np.int32)
        self._freed.add(lambda: self._guarded(array.base.free))  # type: ignore[union-attr]
        return array

    def memory(self, size: int) -> int:
        """See `Cuda.memory`."""
        allocation = self._guarded(self._driver.mem_alloc, size)
        self._freed.add(lambda: self._guarded(allocation.free))
        return int(allocation)

    def stream(self) -> Handle:
        """See `Cuda.stream`; pycuda frees it with the last reference."""
        return self._guarded(self._driver.Stream, 1)  # CU_STREAM_NON_BLOCKING

    def address(self, stream: Handle) -> int:
        """See `Cuda.address`."""
        return int(stream.handle)

    def event(self) -> Handle:
        """See `Cuda.event`; pycuda frees it with the last reference."""
        flags = self._driver.event_flags
        return self._guarded(self._driver.Event, flags.BLOCKING_SYNC | flags.DISABLE_TIMING)

    def copy_in(self, target: int, source: Int32, stream: Handle) -> None:
        """See `Cuda.copy_in`."""
        self._guarded(self._driver.memcpy_htod_async, target, source, stream)

    def copy_out(self, target: Int32, source: int, stream: Handle) -> None:
        """See `Cuda.copy_out`."""
        self._guarded(self._driver.memcpy_dtoh_async, target, source, stream)

    def record(self, event: Handle, stream: Handle) -> None:
        """See `Cuda.record`."""
        self._guarded(event.record, stream)

    def done(self, event: Handle) -> bool:
        """See `Cuda.done`."""
        return bool(self._guarded(event.query))

    def wait(self, event: Handle) -> None:
        """See `Cuda.wait`."""
        self._guarded(event.synchronize)

    def synchronize(self, stream: Handle) -> None:
        """See `Cuda.synchronize`."""
        self._guarded(stream.synchronize)

    def capture(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """See `Cuda.capture`."""
        raise RuntimeFault("pycuda knows no CUDA graphs: pip install cuda-python")

    def launch(self, graph: Handle, stream: Handle) -> None:
        """See `Cuda.launch`."""
        raise RuntimeFault("pycuda knows no CUDA graphs: pip install cuda-python")

    def close(self) -> None:
        """See `Cuda.close`."""
        with suppress(RuntimeFault):
            with self.current():
                self._freed.free()
            self._guarded(self._context.detach)

    def _guarded(self, function: Callable[..., Any], *arguments: object) -> Any:
        try:
            return function(*arguments)
        except self._driver.Error as error:
            text = str(error)
            name = OUT_OF_MEMORY if isinstance(error, self._driver.MemoryError) else ""
            sticky = any(known in text for known in STICKY_TEXTS)
            raise fault_of("pycuda", name, text, sticky) from None
