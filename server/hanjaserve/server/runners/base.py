"""The seam between the pool and the devices: tokens in, candidates out."""

from typing import Protocol

from hanjaserve.server.shapes import Int32


class Runner(Protocol):
    """An engine, ready to run. Every call comes from one thread, which owns the runner.

    Attributes:
        name: What GetServerInfo reports, such as "openvino".
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
        """

    def close(self) -> None:
        """Give memory and threads back; the runner is of no use afterwards."""
