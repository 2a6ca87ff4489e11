"""A GPU that exists only in memory: late, forgetful and strict.

It stands behind fakes of `cuda.bindings.driver`, `pycuda.driver` and TensorRT, so the code under test makes
its real calls. Work queued on a CUDA stream is done only when somebody waits for it (late); device memory is
spoilt once a kernel has used it, host memory as soon as a copy to it is queued (forgetful); and whatever
breaks a rule of ordering is noted in `violations` (strict). Any call can be made to fail with any code.

It says nothing about speed, and nothing about what a real engine computes.
"""

import ctypes
import threading
import zlib
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cuda.bindings import driver as real

from hanjaserve.server.runners.driver import STICKY

Result = real.CUresult
SPOILT = 0x5A
TOP_K = 2


@dataclass
class Op:
    """One piece of queued work."""

    name: str
    reads: tuple[int, int]
    writes: tuple[int, int]
    work: Callable[[], None]
    scratch: tuple[int, int] = (0, 0)
    from_host: bool = False
    to_host: bool = False
    checksum: int = 0

    def touches(self, other: "Op") -> bool:
        mine, theirs = (self.reads, self.writes, self.scratch), (other.reads, other.writes, other.scratch)
        return any(_overlap(a, b) for a in mine for b in theirs)


@dataclass
class FakeGpu:
    """The state of the device and the rules."""

    count: int = 1
    late: bool = False
    """Queries find nothing done until somebody waits."""
    frozen: bool = False
    """Warm-up is over: no allocation, no shape, no profile any more."""
    calls: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    failures: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    memory: dict[int, Any] = field(default_factory=dict)
    capacity: int = 1 << 30
    used: int = 0
    dead: Any = None
    queues: dict[int, deque[Op]] = field(default_factory=dict)
    events: dict[int, Op | None] = field(default_factory=dict)
    graphs: dict[int, list[Op]] = field(default_factory=dict)
    capturing: int = 0
    captured: list[Op] = field(default_factory=list)
    fresh_input: set[int] = field(default_factory=set)
    contexts: Any = field(default_factory=threading.local)
    handles: int = 100

    def fail(self, call: str, code: Any, *, after: int = 0) -> None:
        """Have a call return a code (or, in TensorRT, log a message), once, after so many good ones."""
        self.failures[call].extend([None] * after + [code])

    def enter(self, call: str, *, needs_context: bool = True) -> Any:
        """Account for a call; returns what it has to fail with, or success."""
        self.calls.append(call)
        if self.dead is not None:
            return self.dead
        if needs_context and not getattr(self.contexts, "depth", 0):
            self.violations.append(f"{call} without a current context")
            return Result.CUDA_ERROR_INVALID_CONTEXT
        planned = self.failures[call].popleft() if self.failures[call] else None
        if planned is not None and getattr(planned, "name", "") in STICKY:
            self.dead = planned
        return Result.CUDA_SUCCESS if planned is None else planned

    def handle(self) -> int:
        self.handles += 1
        return self.handles

    # ---- memory

    def allocate(self, call: str, size: int, *, device: bool) -> Any:
        if self.frozen:
            self.violations.append(f"{call} after warm-up")
        if self.capturing:
            self.violations.append(f"{call} while capturing")
        if device and self.used + size > self.capacity:
            return None
        block = np.full(max(1, size), SPOILT, dtype=np.uint8)
        self.used += size if device else 0
        self.memory[block.ctypes.data] = block
        return block.ctypes.data

    def free(self, address: int) -> None:
        assert address in self.memory, "freed twice"
        if any(
            _overlap((address, 1), span)
            for q in self.queues.values()
            for op in q
            for span in (op.reads, op.writes)
        ):
            self.violations.append("memory was freed while work on it was queued")
        del self.memory[address]

    # ---- queues

    def queue(self, stream: int, op: Op) -> None:
        if self.capturing:
            if stream != self.capturing:
                self.violations.append(f"{op.name} on another CUDA stream while capturing")
            self.captured.append(op)
            return
        for other, waiting in self.queues.items():
            if other != stream and any(op.touches(earlier) for earlier in waiting):
                self.violations.append(f"{op.name} on memory that another CUDA stream uses")
        if op.from_host:
            op.checksum = _checksum(op.reads)
        if op.to_host:
            _spoil(op.writes)
        self.queues[stream].append(op)

    def launch(self, stream: int, graph: int) -> None:
        for op in self.graphs[graph]:
            self.queue(stream, Op(**{**op.__dict__}))

    def drain(self, stream: int, until: Op | None = None) -> None:
        """Do what is queued, up to an operation or all of it."""
        queue = self.queues[stream]
        while queue and (until is None or until in queue):
            op = queue.popleft()
            if op.from_host and _checksum(op.reads) != op.checksum:
                self.violations.append("pinned memory was changed while a copy from it was queued")
            op.work()

    def waits(self, call: str) -> Any:
        """A call that blocks."""
        result = self.enter(call)
        if self.capturing:
            self.violations.append(f"{call} while capturing")
            return Result.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
        return result


class FakeDriver:
    """`cuda.bindings.driver` over a FakeGpu."""

    CUresult = real.CUresult
    CUdevice_attribute = real.CUdevice_attribute
    CUstream_flags = real.CUstream_flags
    CUevent_flags = real.CUevent_flags
    CUstreamCaptureMode = real.CUstreamCaptureMode

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu = gpu

    def cuInit(self, Flags: int) -> Any:
        return (self.gpu.enter("cuInit", needs_context=False),)

    def cuDeviceGetCount(self) -> Any:
        return self.gpu.enter("cuDeviceGetCount", needs_context=False), self.gpu.count

    def cuDeviceGet(self, ordinal: int) -> Any:
        return self.gpu.enter("cuDeviceGet", needs_context=False), ordinal

    def cuDeviceGetName(self, length: int, dev: int) -> Any:
        return self.gpu.enter("cuDeviceGetName", needs_context=False), b"Fake GPU\0\0\0"

    def cuDeviceGetAttribute(self, attrib: Any, dev: int) -> Any:
        major = attrib == real.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        return self.gpu.enter("cuDeviceGetAttribute", needs_context=False), 8 if major else 9

    def cuMemGetInfo(self) -> Any:
        return self.gpu.enter("cuMemGetInfo"), self.gpu.capacity - self.gpu.used, self.gpu.capacity

    def cuDevicePrimaryCtxRetain(self, dev: int) -> Any:
        return self.gpu.enter("cuDevicePrimaryCtxRetain", needs_context=False), 7

    def cuDevicePrimaryCtxRelease(self, dev: int) -> Any:
        return (self.gpu.enter("cuDevicePrimaryCtxRelease", needs_context=False),)

    def cuCtxSetCurrent(self, ctx: int) -> Any:
        self.gpu.contexts.depth = 1
        return (self.gpu.enter("cuCtxSetCurrent"),)

    def cuMemAlloc(self, bytesize: int) -> Any:
        result = self.gpu.enter("cuMemAlloc")
        if result:
            return result, 0
        address = self.gpu.allocate("cuMemAlloc", bytesize, device=True)
        return (Result.CUDA_ERROR_OUT_OF_MEMORY, 0) if address is None else (result, address)

    def cuMemFree(self, dptr: int) -> Any:
        return (self.gpu.enter("cuMemFree") or self.gpu.free(dptr) or Result.CUDA_SUCCESS,)

    def cuMemHostAlloc(self, bytesize: int, Flags: int) -> Any:
        result = self.gpu.enter("cuMemHostAlloc")
        return result, 0 if result else self.gpu.allocate("cuMemHostAlloc", bytesize, device=False)

    def cuMemFreeHost(self, p: int) -> Any:
        return (self.gpu.enter("cuMemFreeHost") or self.gpu.free(p) or Result.CUDA_SUCCESS,)

    def cuStreamCreate(self, Flags: int) -> Any:
        assert Flags == int(real.CUstream_flags.CU_STREAM_NON_BLOCKING)
        result, stream = self.gpu.enter("cuStreamCreate"), self.gpu.handle()
        self.gpu.queues[stream] = deque()
        return result, stream

    def cuStreamDestroy(self, hStream: int) -> Any:
        return (self.gpu.enter("cuStreamDestroy"),)

    def cuStreamSynchronize(self, hStream: int) -> Any:
        result = self.gpu.waits("cuStreamSynchronize")
        if not result:
            self.gpu.drain(hStream)
        return (result,)

    def cuEventCreate(self, Flags: int) -> Any:
        assert Flags & int(real.CUevent_flags.CU_EVENT_BLOCKING_SYNC)
        result, event = self.gpu.enter("cuEventCreate"), self.gpu.handle()
        self.gpu.events[event] = None
        return result, event

    def cuEventDestroy(self, hEvent: int) -> Any:
        return (self.gpu.enter("cuEventDestroy"),)

    def cuEventRecord(self, hEvent: int, hStream: int) -> Any:
        result = self.gpu.enter("cuEventRecord")
        mark = Op("event", (0, 0), (0, 0), lambda: None)
        if not result:
            self.gpu.queue(hStream, mark)
            self.gpu.events[hEvent] = mark
        return (result,)

    def cuEventQuery(self, hEvent: int) -> Any:
        result = self.gpu.enter("cuEventQuery")
        if not result and self._queue_of(hEvent) and self.gpu.late:
            return (Result.CUDA_ERROR_NOT_READY,)
        if not result:
            self._reach(hEvent)
        return (result,)

    def cuEventSynchronize(self, hEvent: int) -> Any:
        result = self.gpu.waits("cuEventSynchronize")
        if not result:
            self._reach(hEvent)
        return (result,)

    def cuMemcpyHtoDAsync(self, dstDevice: int, srcHost: int, ByteCount: int, hStream: int) -> Any:
        result = self.gpu.enter("cuMemcpyHtoDAsync")
        if not result:
            self.copy_in(dstDevice, srcHost, ByteCount, hStream)
        return (result,)

    def cuMemcpyDtoHAsync(self, dstHost: int, srcDevice: int, ByteCount: int, hStream: int) -> Any:
        result = self.gpu.enter("cuMemcpyDtoHAsync")
        if not result:
            self.copy_out(dstHost, srcDevice, ByteCount, hStream)
        return (result,)

    def cuStreamBeginCapture(self, hStream: int, mode: Any) -> Any:
        assert mode == real.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        result = self.gpu.enter("cuStreamBeginCapture")
        if not result:
            assert not self.gpu.queues[hStream], "work was still queued when the capture began"
            self.gpu.capturing, self.gpu.captured = hStream, []
        return (result,)

    def cuStreamEndCapture(self, hStream: int) -> Any:
        self.gpu.capturing, graph = 0, self.gpu.handle()
        self.gpu.graphs[graph] = self.gpu.captured
        return self.gpu.enter("cuStreamEndCapture"), graph

    def cuGraphInstantiate(self, hGraph: int, flags: int) -> Any:
        return self.gpu.enter("cuGraphInstantiate"), hGraph

    def cuGraphUpload(self, hGraphExec: int, hStream: int) -> Any:
        return (self.gpu.enter("cuGraphUpload"),)

    def cuGraphLaunch(self, hGraphExec: int, hStream: int) -> Any:
        result = self.gpu.enter("cuGraphLaunch")
        if not result:
            self.gpu.launch(hStream, hGraphExec)
        return (result,)

    def cuGraphExecDestroy(self, hGraphExec: int) -> Any:
        return (self.gpu.enter("cuGraphExecDestroy"),)

    def cuGraphDestroy(self, hGraph: int) -> Any:
        return (self.gpu.enter("cuGraphDestroy"),)

    def cuGetErrorString(self, error: Any) -> Any:
        return Result.CUDA_SUCCESS, error.name.removeprefix("CUDA_ERROR_").lower().replace("_", " ").encode()

    # ---- shared with the fake of pycuda

    def copy_in(self, target: int, source: int, size: int, stream: int) -> None:
        def work() -> None:
            ctypes.memmove(target, source, size)
            self.gpu.fresh_input.add(target)

        self.gpu.queue(stream, Op("copy in", (source, size), (target, size), work, from_host=True))

    def copy_out(self, target: int, source: int, size: int, stream: int) -> None:
        def work() -> None:
            ctypes.memmove(target, source, size)

        self.gpu.queue(stream, Op("copy out", (source, size), (target, size), work, to_host=True))

    def _queue_of(self, event: int) -> deque[Op] | None:
        mark = self.gpu.events[event]
        return next((queue for queue in self.gpu.queues.values() if mark in queue), None)

    def _reach(self, event: int) -> None:
        mark = self.gpu.events[event]
        for stream, queue in self.gpu.queues.items():
            if mark is not None and mark in queue:
                self.gpu.drain(stream, mark)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return bool(one[1] and other[1]) and one[0] < other[0] + other[1] and other[0] < one[0] + one[1]


def _view(span: tuple[int, int]) -> Any:
    return np.ctypeslib.as_array((ctypes.c_uint8 * span[1]).from_address(span[0]))


def _checksum(span: tuple[int, int]) -> int:
    return zlib.crc32(_view(span))


def _spoil(span: tuple[int, int]) -> None:
    _view(span)[:] = SPOILT
