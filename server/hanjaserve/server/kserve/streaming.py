"""One ModelStreamInfer call: requests run side by side, answers come in their order.

A request that fails is answered in the message, as Triton does by default, and the stream goes on.
Backpressure is to stop reading: once `IN_FLIGHT` requests are unanswered, the next one waits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

from hanjaserve.kserve import inference_pb2 as pb
from hanjaserve.server.errors import Draining

IN_FLIGHT = 64

Pending = asyncio.Task[pb.ModelStreamInferResponse]
Answer = Callable[[pb.ModelInferRequest], Coroutine[None, None, pb.ModelStreamInferResponse]]


class InferStream:
    """The state of one call."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        # None ends the call, an exception ends it with a status.
        self._answers: asyncio.Queue[Pending | Exception | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._tasks: set[Pending] = set()
        self._reader: asyncio.Task[None] | None = None

    async def responses(
        self, requests: AsyncIterator[pb.ModelInferRequest]
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Yield the answer to everything that `requests` yields, in order.

        Raises:
            HanjaserveError: Whatever ends the call, after the answers to all that was read before.
        """
        self._reader = asyncio.create_task(self._read(requests))
        try:
            while isinstance(answer := await self._answers.get(), asyncio.Task):
                yield await answer
                self._tasks.discard(answer)
                self._room.release()
            if answer is not None:
                raise answer
        finally:
            self._reader.cancel()
            for task in self._tasks:
                task.cancel()

    def stop_reading(self) -> None:
        """End the call once everything read so far is answered: the server shuts down."""
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self, requests: AsyncIterator[pb.ModelInferRequest]) -> None:
        end: Exception | None = None
        try:
            async for request in requests:
                await self._room.acquire()
                task = asyncio.create_task(self._answer(request))
                self._tasks.add(task)
                self._answers.put_nowait(task)
        except asyncio.CancelledError:
            end = Draining("the server is shutting down: send what has no answer to another one")
            raise
        except Exception as error:
            end = error
        finally:
            self._answers.put_nowait(end)
