"""How long the server waits for a caller: to send what it announced, to read what it asked for."""

import asyncio
from dataclasses import dataclass
from typing import Any

from hanjaserve.server.errors import Overloaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a caller may take.

    Attributes:
        request_s: Until the message of a unary call is there.
        reading_s: Until it has taken a response that waits for it.
        max_waiting: Unary calls that may wait for their message at a time.
    """

    request_s: float = 20.0
    reading_s: float = 60.0
    max_waiting: int = 1024


class PatientContext:
    """A `grpc.aio.ServicerContext` that does not wait for ever for a caller to read."""

    def __init__(self, context: Any, reading_s: float) -> None:
        self._context = context
        self._reading_s = reading_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        """Send a response.

        Raises:
            Overloaded: The caller does not read.
        """
        try:
            async with asyncio.timeout(self._reading_s):
                await self._context.write(message)
        except TimeoutError:
            raise Overloaded(
                f"the caller has not read for {self._reading_s:g} s: read faster, or send less",
                reason="slow_reader",
            ) from None
