"""The seam between the clients and whoever watches their calls; `traces.Traces` does."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from google.protobuf.message import Message

from hanjaserve.client.access import Metadata


class Observer(Protocol):
    """Watches calls. Used by all threads and tasks of a client."""

    def call(self, request: type[Message]) -> AbstractContextManager[Metadata]:
        """Watch one call with its retries, told by the type of its request, while the block runs.

        Gives the headers that go with it. An error of the call leaves the block.
        """


class Blind:
    """An observer that looks away."""

    def call(self, request: type[Message]) -> AbstractContextManager[Metadata]:
        """See `Observer`."""
        return nullcontext(())
