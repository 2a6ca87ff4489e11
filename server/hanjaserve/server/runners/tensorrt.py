"""The GPU runner: TensorRT, either flavour, several batches under way at a time.

A batch goes to a free lane (lane.py) in the smallest bucket that holds it; one that no bucket holds is cut
into parts. Callers that want overlap use `submit`, which returns at once while a lane is free; `run` is
for those who want an answer. All calls come from one thread at a time.

When the GPU is lost, this and every later call raises DeviceLost: the process has to end. Out of memory,
a batch is tried once more in two halves, one after the other.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hanjaserve.server.errors import DeviceLost, OutOfDeviceMemory, RuntimeFault
from hanjaserve.server.runners.base import Done, Flight
from hanjaserve.server.runners.buckets import Bucket
from hanjaserve.server.runners.driver import Cuda
from hanjaserve.server.runners.flavours import Flavour
from hanjaserve.server.runners.lane import Engine, Lane
from hanjaserve.server.runners.plans import PlanSpec
from hanjaserve.server.shapes import Int32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a runner is made of.

    Attributes:
        spec: What the plan was compiled for.
        content: The plan.
        kernels: RTX's compiled kernels from an earlier process, or nothing.
    """

    spec: PlanSpec
    content: bytes
    kernels: bytes = b""


class TensorRtRunner:
    """Runs a plan on the GPU; see `runners.base.OverlappingRunner`. Opening it takes seconds.

    Args:
        flavour: The TensorRT that built the plan.
        plan: From the plan cache.
        cuda: Closed together with the runner, and also if it can't be opened.
        pad_id: Token that fills up rows.
        top_k: Candidates per token.
        use_graphs: False queues every batch anew, to compare.

    Attributes:
        name: Such as "tensorrt 10.12.0 (2 lanes, 71 CUDA graphs)".
        depth: Batches that may be under way at a time.
        buckets: The padded shapes.
        spec: What its plan was compiled for.

    Raises:
        RuntimeFault: The plan does not load or run on this GPU.
        OutOfDeviceMemory: There is too little memory, even for one lane.
    """

    def __init__(
        self, flavour: Flavour, plan: Plan, cuda: Cuda, *, pad_id: int, top_k: int, use_graphs: bool = True
    ) -> None:
        self.spec = plan.spec
        self.buckets = plan.spec.buckets
        self._cuda = cuda
        self._lost: DeviceLost | None = None
        self._engine: Engine | None = None
        self._lanes: list[Lane] = []
        try:
            with self._guarded():
                self._engine = self._load(flavour, plan, pad_id, top_k)
                self._open_lanes(self._engine, plan.spec.lanes, use_graphs)
        except BaseException:
            self.close()
            raise
        graphs = sum(len(lane.graphs) for lane in self._lanes)
        self.depth = len(self._lanes)
        self.name = (
            f"{flavour.name} {flavour.version} ({_count(self.depth, 'lane')}, {_count(graphs, 'CUDA graph')})"
        )

    @property
    def kernels(self) -> bytes:
        """What RTX compiled while the runner was opened, for the next process; empty for the other."""
        with self._guarded():
            cache = self._engine.runtime_cache if self._engine else None
            return bytes(cache.serialize()) if cache is not None else b""

    def run(self, tokens: Int32) -> Int32:
        """See `Runner.run`."""
        with self._guarded():
            return self._run_all(tokens)

    def submit(self, tokens: Int32) -> Flight:
        """See `OverlappingRunner.submit`."""
        with self._guarded():
            rows, length = tokens.shape
            if len(self.buckets.split(rows, length)) > 1:
                return Done(self._run_all(tokens))
            lane, bucket = self._free_lane(), self.buckets.fit(rows, length)
            try:
                lane.launch(tokens, bucket)
            except OutOfDeviceMemory as error:
                return Done(self._run_halves(tokens, error))
            return _LaneFlight(self, lane, bucket, tokens)

    def replay(self, bucket: Bucket, times: int) -> None:
        """Compute what lies in the buffers of a bucket over and over, on all lanes: to measure the device."""
        with self._guarded():
            for turn in range(times):
                self._lanes[turn % len(self._lanes)].queue(bucket)
            for lane in self._lanes:
                lane.drain()

    def close(self) -> None:
        """See `Runner.close`. Of a lost GPU nothing can be freed, and to try may end the process."""
        if self._lost is not None:
            return
        with self._guarded():
            self._lanes.clear()
            self._engine = None
        self._cuda.close()

    # ---- opening

    @staticmethod
    def _load(flavour: Flavour, plan: Plan, pad_id: int, top_k: int) -> Engine:
        log = flavour.logger()
        engine = flavour.api.Runtime(log).deserialize_cuda_engine(plan.content)
        if engine is None:
            said = log.errors[-1] if log.errors else "it does not say why"
            raise RuntimeFault(f"{flavour.name} {flavour.version} can't load the plan on this GPU: {said}")
        return Engine(
            flavour=flavour,
            engine=engine,
            log=log,
            buckets=plan.spec.buckets,
            runtime_cache=flavour.runtime_cache(engine, plan.kernels),
            pad_id=pad_id,
            top_k=top_k,
        )

    def _open_lanes(self, engine: Engine, wanted: int, use_graphs: bool) -> None:
        for number in range(wanted):
            try:
                self._lanes.append(Lane(self._cuda, engine, number, use_graphs=use_graphs))
            except OutOfDeviceMemory as error:
                if not self._lanes:
                    raise
                logger.warning("%d of %d lanes fit the GPU's memory: %s", number, wanted, error)
                return

    # ---- running

    def _run_all(self, tokens: Int32) -> Int32:
        """Run a batch of any number of rows, its parts overlapping."""
        parts = [tokens[part] for part in self.buckets.split(*tokens.shape)]
        outputs: list[Int32] = []
        flights: list[_LaneFlight] = []
        try:
            for part in parts:
                if flights and all(lane.busy for lane in self._lanes):
                    outputs.append(flights.pop(0).collect())
                bucket, lane = self.buckets.fit(*part.shape), self._free_lane()
                lane.launch(part, bucket)
                flights.append(_LaneFlight(self, lane, bucket, part))
            while flights:
                outputs.append(flights.pop(0).collect())
        except OutOfDeviceMemory as error:
            for flight in flights:
                flight.abandon()
            return self._run_halves(tokens, error)
        except BaseException:
            for flight in flights:
                flight.abandon()
            raise
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _run_halves(self, tokens: Int32, error: OutOfDeviceMemory) -> Int32:
        """Try once more, in smaller buckets, one after the other."""
        logger.warning("out of GPU memory at %d x %d tokens, trying halves: %s", *tokens.shape, error)
        if len(tokens) < 2:
            raise error
        half = -(-len(tokens) // 2)
        outputs = []
        for part in (tokens[:half], tokens[half:]):
            for piece in self.buckets.split(*part.shape):
                shape = part[piece].shape
                bucket, lane = self.buckets.fit(*shape), self._free_lane()
                lane.launch(part[piece], bucket)
                outputs.append(lane.collect(shape, bucket))
        return np.concatenate(outputs)

    def _free_lane(self) -> Lane:
        lane = next((lane for lane in self._lanes if not lane.busy), None)
        if lane is None:
            raise RuntimeFault(f"more than {len(self._lanes)} batches are under way. This is a bug.")
        return lane

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Have the CUDA context current; remember that the GPU is lost once it is."""
        if self._lost is not None:
            raise self._lost
        try:
            with self._cuda.current():
                yield
        except DeviceLost as error:
            self._lost = error
            raise


class _LaneFlight:
    """A batch on a lane; see `runners.base.Flight`."""

    def __init__(self, runner: TensorRtRunner, lane: Lane, bucket: Bucket, tokens: Int32) -> None:
        self._runner = runner
        self._lane = lane
        self._bucket = bucket
        self._tokens = tokens  # kept for a second try

    def done(self) -> bool:
        try:
            with self._runner._guarded():
                return self._lane.done()
        except RuntimeFault:
            return True  # `result` will say why

    def result(self) -> Int32:
        with self._runner._guarded():
            try:
                return self.collect()
            except OutOfDeviceMemory as error:
                return self._runner._run_halves(self._tokens, error)

    def collect(self) -> Int32:
        rows, length = self._tokens.shape
        return self._lane.collect((rows, length), self._bucket)

    def abandon(self) -> None:
        """Let the batch end and forget it, so that the lane can be used again."""
        try:
            self.collect()
        except RuntimeFault as error:
            logger.warning("a batch that nobody waits for failed: %s", error)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
