"""The seam between batching and a runtime."""

from typing import Protocol

from hanjaserve.server.shapes import Int32


class Runner(Protocol):
    """Runs padded batches; used from one thread, its own."""

    @property
    def name(self) -> str:
        """Shown by GetServerInfo."""

    def run(self, tokens: Int32) -> Int32:
        """Tokens int32 [batch, tokens] -> candidates int32 [batch, tokens, k]."""

    def close(self) -> None:
        """Frees what the runner holds."""
