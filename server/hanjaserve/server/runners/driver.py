"""What a runner needs of CUDA: the seam that cuda.py fills and tests fake.

A `Cuda` is used by one thread at a time, and inside `with cuda.current():`, because a thread that ends
with a context of pycuda still current takes the process along. Whatever a `Cuda` hands out lives until
`close`. Streams here are CUDA streams; every call but `wait`, `synchronize` and the allocating ones only
queues work.

Errors come in three kinds (https://docs.nvidia.com/cuda/cuda-driver-api, CUresult):
    sticky          the context is dead for good: DeviceLost, and the process has to end
    out of memory   OutOfDeviceMemory, a smaller batch may do
    other           RuntimeFault
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from hanjaserve.server.errors import DeviceLost, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.shapes import Int32

OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"
STICKY = frozenset({
    "CUDA_ERROR_ASSERT", "CUDA_ERROR_CONTAINED", "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    "CUDA_ERROR_DEINITIALIZED", "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_EXTERNAL_DEVICE", "CUDA_ERROR_GRAPH_RECAPTURE_FAILURE", "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_ILLEGAL_INSTRUCTION", "CUDA_ERROR_INVALID_ADDRESS_SPACE",
    "CUDA_ERROR_INVALID_PC", "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_MPS_CLIENT_TERMINATED", "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "CUDA_ERROR_TENSOR_MEMORY_LEAK", "CUDA_ERROR_UNKNOWN",
})  # fmt: skip
"""After these "the process must be terminated and relaunched", or nobody knows better."""
STICKY_TEXTS = (
    "device-side assert", "illegal memory access", "illegal instruction", "misaligned address",
    "uncorrectable", "unspecified launch failure", "launch timed out", "context is destroyed",
    "hardware stack error", "unknown error", "program counter", "different address space",
)  # fmt: skip
"""pycuda tells no codes, only the driver's words."""
Handle = Any
"""A CUDA stream, event or graph: opaque."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU.

    Attributes:
        name: Such as "NVIDIA L4".
        compute: Its compute capability, such as "8.9".
        memory_bytes: All of its memory.
        free_bytes: What of it was free when asked.
    """

    name: str
    compute: str
    memory_bytes: int
    free_bytes: int


class Cuda(Protocol):
    """What a runner needs of CUDA.

    Attributes:
        name: Binding and version, for the log.
        has_graphs: Whether `capture` and `launch` work.
    """

    name: str
    has_graphs: bool

    def current(self) -> AbstractContextManager[None]:
        """Make the context the calling thread's own for a while."""

    def device(self) -> Device:
        """What this runs on."""

    def pinned(self, count: int) -> Int32:
        """Allocate page-locked host memory: int32 [count], which copies need no detour for."""

    def memory(self, size: int) -> int:
        """Allocate bytes on the device; returns the address."""

    def stream(self) -> Handle:
        """Create a CUDA stream that does not wait for the default one."""

    def address(self, stream: Handle) -> int:
        """A CUDA stream as TensorRT wants it."""

    def event(self) -> Handle:
        """Create an event; to wait for it costs no processor time."""

    def copy_in(self, target: int, source: Int32, stream: Handle) -> None:
        """Queue a copy of pinned memory to the device."""

    def copy_out(self, target: Int32, source: int, stream: Handle) -> None:
        """Queue a copy from the device to pinned memory."""

    def record(self, event: Handle, stream: Handle) -> None:
        """Let the event happen once all that is queued now has finished."""

    def done(self, event: Handle) -> bool:
        """Whether the event has happened."""

    def wait(self, event: Handle) -> None:
        """Block until the event has happened; other Python threads go on."""

    def synchronize(self, stream: Handle) -> None:
        """Block until a CUDA stream is empty."""

    def capture(self, stream: Handle, work: Callable[[], None]) -> Handle:
        """Record what `work` queues as a graph, without running it."""

    def launch(self, graph: Handle, stream: Handle) -> None:
        """Queue everything in a graph."""

    def close(self) -> None:
        """Free all, from outside `current`. After a sticky error nothing is freed, and nothing raised."""


def fault_of(call: str, name: str, text: str, sticky: bool) -> RuntimeFault:
    """The error for a CUDA call that failed."""
    message = f"{call} failed: {text} ({name})" if name else f"{call} failed: {text}"
    if sticky:
        return DeviceLost(f"{message}; the GPU is lost to this process, which has to start again")
    if name == OUT_OF_MEMORY:
        return OutOfDeviceMemory(message)
    return RuntimeFault(message)
