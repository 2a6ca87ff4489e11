"""One of the two or three lanes of a GPU: a CUDA stream and everything that a batch needs on its way.

    host     write tokens into pinned memory -- launch ------------------------- wait -- read candidates
    device                                        copy in, compute, copy out, event

One batch at a time goes through a lane; copies of one lane overlap with the computing of another. All
buckets use the same memory, that of the largest. There is an execution context per optimization profile,
which it keeps for life, and a CUDA graph per bucket with both copies inside. So nothing is allocated, and
no shape or profile is set, while serving. Without graphs (pycuda, or a context that can't be captured)
the shape is set and the work queued anew for every batch.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hanjaserve.server.errors import DeviceLost, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.runners.buckets import Bucket, BucketTable, Shape
from hanjaserve.server.runners.driver import Cuda, Handle
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.shapes import Int32

logger = logging.getLogger(__name__)

INPUT, OUTPUT = "tokens", "candidates"
OUT_OF_MEMORY = re.compile(r"out ?of ?memory|insufficient .*memory|cudaMalloc", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A deserialized plan and what is known about it.

    Attributes:
        flavour: Which TensorRT.
        engine: The ICudaEngine.
        log: The logger, which knows what went wrong.
        buckets: What the plan was made for.
        runtime_cache: RTX's compiled kernels, or None.
        pad_id: Token that fills up rows and batches.
        top_k: Candidates per token.
    """

    flavour: Flavour
    engine: Any
    log: Any
    buckets: BucketTable
    runtime_cache: Any
    pad_id: int
    top_k: int

    def fault(self, what: str) -> RuntimeFault:
        """The error for a call of TensorRT that failed, with what it logged last."""
        said = self.log.errors[-1] if self.log.errors else "it does not say why"
        kind = OutOfDeviceMemory if OUT_OF_MEMORY.search(said) else RuntimeFault
        return kind(f"{self.flavour.name}: {what} failed: {said}")


class Lane:
    """See above. Every method is called with the CUDA context current.

    Attributes:
        busy: A batch is under way.
        graphs: Captured, by bucket; fewer than there are buckets if some could not be.

    Raises:
        OutOfDeviceMemory: The GPU has too little memory for one more lane.
        RuntimeFault: TensorRT refuses a context or a shape.
    """

    def __init__(self, cuda: Cuda, engine: Engine, number: int, *, use_graphs: bool = True) -> None:
        self.busy = False
        self.graphs: dict[Bucket, Handle] = {}
        self._cuda = cuda
        self._engine = engine
        most = max(bucket.rows * bucket.tokens for bucket in engine.buckets.buckets)
        self._stream = cuda.stream()
        self._event = cuda.event()
        self._tokens = cuda.pinned(most)
        self._candidates = cuda.pinned(most * engine.top_k)
        self._device_tokens = cuda.memory(self._tokens.nbytes)
        self._device_candidates = cuda.memory(self._candidates.nbytes)
        self._contexts = self._make_contexts(number)
        self._tokens[:] = engine.pad_id
        for bucket in engine.buckets.buckets:
            self._prepare(bucket, use_graphs and cuda.has_graphs)
        self.drain()

    def launch(self, tokens: Int32, bucket: Bucket) -> None:
        """Queue a batch; the tokens may be changed as soon as this returns.

        Args:
            tokens: int32 [rows, tokens], not larger than the bucket.
            bucket: What it is padded to.
        """
        rows, length = tokens.shape
        padded = self._padded(bucket)
        padded[:rows, :length] = tokens
        padded[:rows, length:] = self._engine.pad_id
        padded[rows:] = self._engine.pad_id
        with self._drained_on_fault():
            self.queue(bucket)
            self._cuda.record(self._event, self._stream)
        self.busy = True

    def queue(self, bucket: Bucket) -> None:
        """Queue the work of a bucket on whatever lies in its buffers."""
        graph = self.graphs.get(bucket)
        if graph is None:
            self._queue_now(bucket)
        else:
            self._cuda.launch(graph, self._stream)

    def drain(self) -> None:
        """Wait until nothing is queued."""
        self._cuda.synchronize(self._stream)

    def done(self) -> bool:
        """Whether the batch under way is computed."""
        return self._cuda.done(self._event)

    def collect(self, shape: Shape, bucket: Bucket) -> Int32:
        """Wait for the batch under way: int32 [*shape, k], a copy."""
        self.busy = False
        with self._drained_on_fault():
            self._cuda.wait(self._event)
        size = bucket.rows * bucket.tokens * self._engine.top_k
        outputs = self._candidates[:size].reshape(bucket.rows, bucket.tokens, self._engine.top_k)
        return outputs[: shape[0], : shape[1]].copy()

    @contextmanager
    def _drained_on_fault(self) -> Iterator[None]:
        """After a fault that is not for good, let what may still be queued end: it uses the buffers."""
        try:
            yield
        except DeviceLost:
            raise
        except RuntimeFault:
            self.drain()
            raise

    # ---- once, before serving

    def _make_contexts(self, number: int) -> list[Any]:
        """One context per band, all with the same scratch memory: only one of them runs at a time."""
        engine, bands = self._engine, len(self._engine.buckets.bands)
        profiles = range(number * bands, (number + 1) * bands)
        if profiles.stop > engine.engine.num_optimization_profiles:
            raise RuntimeFault(
                f"the plan has {engine.engine.num_optimization_profiles} optimization profiles, too few for "
                f"lane {number + 1}: compile it with more lanes"
            )
        size = max(engine.engine.get_device_memory_size_for_profile_v2(profile) for profile in profiles)
        scratch = self._cuda.memory(max(1, size))
        contexts = []
        for profile in profiles:
            context = engine.flavour.context(engine.engine, engine.runtime_cache)
            if context is None:
                raise engine.fault("creating an execution context")
            if not context.set_optimization_profile_async(profile, self._address):
                raise engine.fault(f"selecting optimization profile {profile}")
            self._cuda.synchronize(self._stream)
            context.set_device_memory(scratch, size)
            for name, address in ((INPUT, self._device_tokens), (OUTPUT, self._device_candidates)):
                if not context.set_tensor_address(name, address):
                    raise engine.fault(f"setting the address of {name}")
            contexts.append(context)
        return contexts

    def _prepare(self, bucket: Bucket, use_graphs: bool) -> None:
        """Run a bucket once, which loads kernels and settles what a capture would record; capture it."""
        self._queue_now(bucket)
        self.drain()
        if not use_graphs:
            return
        if not self._engine.flavour.capturable(self._context(bucket), self._address):
            logger.warning("bucket %s can't be a CUDA graph, it is queued for every batch", bucket)
            return
        try:
            self.graphs[bucket] = self._cuda.capture(self._stream, lambda: self._queue(bucket))
        except (DeviceLost, OutOfDeviceMemory):
            raise
        except RuntimeFault as error:
            logger.warning("bucket %s has no CUDA graph, it is queued for every batch: %s", bucket, error)

    # ---- what a batch consists of

    @property
    def _address(self) -> int:
        return self._cuda.address(self._stream)

    def _context(self, bucket: Bucket) -> Any:
        return self._contexts[self._engine.buckets.band_of(bucket)]

    def _queue_now(self, bucket: Bucket) -> None:
        """Set the shape, and queue outside of a graph."""
        if not self._context(bucket).set_input_shape(INPUT, (bucket.rows, bucket.tokens)):
            raise self._engine.fault(f"setting the shape {bucket}")
        with self._drained_on_fault():  # which also tells whether the GPU is lost; TensorRT does not
            self._queue(bucket)

    def _queue(self, bucket: Bucket) -> None:
        """Queue the copy in, the engine and the copy out."""
        size = bucket.rows * bucket.tokens
        self._cuda.copy_in(self._device_tokens, self._tokens[:size], self._stream)
        if not self._context(bucket).execute_async_v3(self._address):
            raise self._engine.fault(f"queuing {bucket}")
        outputs = self._candidates[: size * self._engine.top_k]
        self._cuda.copy_out(outputs, self._device_candidates, self._stream)

    def _padded(self, bucket: Bucket) -> Int32:
        """The tokens in pinned memory: int32 [rows, tokens] of the bucket, no copy."""
        return self._tokens[: bucket.rows * bucket.tokens].reshape(bucket.rows, bucket.tokens)
