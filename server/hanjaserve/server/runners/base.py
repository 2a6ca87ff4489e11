"""The seam between the pool and the devices: tokens in, candidates out."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hanjaserve.server.runners.buckets import BucketTable
from hanjaserve.server.shapes import Int32


class Runner(Protocol):
    """An engine, ready to run. Every call comes from one thread, which owns it, unless it is parallel.

    Attributes:
        name: What GetServerInfo reports, such as "onnxruntime".
    """

    name: str

    def run(self, tokens: Int32) -> Int32:
        """Compute the candidates of a batch.

        Args:
            tokens: C-contiguous int32 [batch, tokens], padded at the end of rows.

        Returns:
            int32 [batch, tokens, k]; it belongs to the caller.

        Raises:
            RuntimeFault: The engine failed.
            OutOfDeviceMemory: For want of memory; the batch itself is not at fault.
            DeviceLost: For good; so will every later call.
        """

    def close(self) -> None:
        """Give memory and threads back; the runner is of no use afterwards."""


@runtime_checkable
class ParallelRunner(Runner, Protocol):
    """A runner that several threads may call at once, each of which gets a processor of its own.

    Attributes:
        streams: How many. A batch is no faster for the others' standing idle.
    """

    streams: int


def streams_of(runner: Runner) -> int:
    """How many threads may call a runner at once."""
    return runner.streams if isinstance(runner, ParallelRunner) else 1


class Flight(Protocol):
    """A batch under way on a device."""

    def done(self) -> bool:
        """Whether `result` would return, or raise, at once."""

    def result(self) -> Int32:
        """Wait for the candidates; to be called once. Returns and raises what `Runner.run` does."""


@runtime_checkable
class OverlappingRunner(Runner, Protocol):
    """A runner that computes beside the thread that calls it, several batches at a time.

    Attributes:
        depth: How many.
    """

    depth: int

    def submit(self, tokens: Int32) -> Flight:
        """Begin a batch; the tokens may not change before its result.

        At most `depth` flights are without a result. Raises what `Runner.run` does.
        """


@runtime_checkable
class BucketedRunner(OverlappingRunner, Protocol):
    """An overlapping runner that computes in a few padded shapes only.

    Attributes:
        buckets: Them. Batches of any shape are fine, but those that fill a bucket waste least.
    """

    buckets: BucketTable


@dataclass(frozen=True, slots=True)
class Done:
    """The flight of a batch that was computed at once."""

    candidates: Int32

    def done(self) -> bool:
        """See `Flight.done`."""
        return True

    def result(self) -> Int32:
        """See `Flight.result`."""
        return self.candidates
