"""Text in, converted text out, over a pool of runners: the server's own view of its work.

    convert -> jobs (encode) -> engine.run_each (queue, batch, run) -> assembly (decode, render)

Of a call with several jobs two are under way at a time: one is encoded or decoded while the other one runs.
Everything here is on the event loop, and a job is small enough not to hold it up. A text that can't
be converted is a result, not the end of its call; overload, deadline and shutdown are.

Not: threads (pool), sentences without a server (local), messages (service).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import repeat
from typing import Protocol

from hanjaserve.server.assembly import Assembly, Conversion, Outcome, Result
from hanjaserve.server.batcher import Priority
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec
from hanjaserve.server.errors import HanjaserveError, Overloaded, TextTooLong
from hanjaserve.server.local import LocalConverter
from hanjaserve.server.observer import Blind, Observer
from hanjaserve.server.options import Options
from hanjaserve.server.segment import Job, Text, arrays_of, fit_one_job, jobs
from hanjaserve.server.shapes import Int32
from hanjaserve.server.words import Words

__all__ = ["Conversion", "Converter", "Engine", "LocalConverter", "Options", "TextConverter"]

MAX_TEXT_CODE_POINTS = 1_000_000
JOBS_UNDER_WAY = 2


class Engine(Protocol):
    """What runs encodings; `pool.Pool` is one."""

    async def run_each(
        self, tokens_list: Sequence[Int32], *, priority: Priority, deadline: float | None
    ) -> list[Outcome]:
        """Candidates int32 [tokens, k] of every int32 [tokens], or the fault of that one.

        Raises:
            Overloaded: None of them was accepted.
            DeadlineExpired: The deadline passed.
            Draining: The server is shutting down.
        """


class TextConverter(Protocol):
    """What converts texts for the service: a `Converter`, or whichever one is in service."""

    async def convert(
        self, text: str, options: Options, *, deadline: float | None, priority: Priority
    ) -> Conversion:
        """See `Converter.convert`."""

    async def convert_batch(
        self,
        texts: Sequence[str],
        options: Options,
        *,
        deadline: float | None,
        priority: Priority,
        contexts: Sequence[int] = (),
    ) -> list[Conversion | HanjaserveError]:
        """See `Converter.convert_batch`."""


class Converter:
    """Converts texts of one bundle. Belongs to one event loop."""

    def __init__(
        self,
        bundle: Bundle,
        codec: Codec,
        engine: Engine,
        *,
        words: Words | None = None,
        max_text_code_points: int = MAX_TEXT_CODE_POINTS,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self._styles = bundle.manifest.styles
        self._labels = bundle.labels()
        self._words = words or Words.open(bundle)
        self._codec = codec
        self._engine = engine
        self._max_text_code_points = max_text_code_points
        self._clock = clock
        self._observer = observer or Blind()

    async def convert(
        self,
        text: str,
        options: Options,
        *,
        deadline: float | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Conversion:
        """Convert one text; see `convert_batch`.

        Raises:
            TextTooLong: It is over the limit.
            RuntimeFault: The runner failed on it.
        """
        (result,) = await self.convert_batch([text], options, deadline=deadline, priority=priority)
        if isinstance(result, HanjaserveError):
            raise result
        return result

    async def convert_batch(
        self,
        texts: Sequence[str],
        options: Options,
        *,
        deadline: float | None = None,
        priority: Priority = Priority.BULK,
        contexts: Sequence[int] = (),
    ) -> list[Conversion | HanjaserveError]:
        """Convert texts.

        Args:
            texts: Any number, of any length up to the limit.
            options: How.
            deadline: When the caller gives up, on the clock of the engine (`time.monotonic`).
            priority: The class in which they wait.
            contexts: How many code points at the beginning of each text are context, which the model
                sees and the result leaves out; none if left out.

        Returns:
            For every text its conversion, or why there is none.

        Raises:
            BadOption: An option has a value that it can't have.
            Overloaded: There is too much to do already.
            DeadlineExpired: The deadline passed.
            Draining: The server is shutting down.
        """
        options.validate(self._styles)
        results: dict[int, Conversion | HanjaserveError] = {}
        assembly = Assembly(self._codec, self._labels, options, words=self._words)
        admitted = self._admitted(texts, contexts or repeat(0), results)
        work = jobs(self._codec, admitted, options)
        if fit_one_job(texts):
            # Nothing to do while it runs, hence no need of a task.
            for job in work:
                outcomes = await self._run(job, deadline, priority, patient=False)
                results.update(self._finish(assembly, job, outcomes))
        else:
            async with aclosing(self._overlapped(work, deadline, priority)) as overlapped:
                async for job, outcomes in overlapped:
                    results.update(self._finish(assembly, job, outcomes))
        return [results[index] for index in range(len(texts))]

    async def _overlapped(
        self, work: Iterable[Job], deadline: float | None, priority: Priority
    ) -> AsyncGenerator[tuple[Job, list[Outcome]], None]:
        """Run jobs, each while the one before is decoded and the next one encoded."""
        under_way: deque[tuple[Job, asyncio.Task[list[Outcome]]]] = deque()
        try:
            for number, job in enumerate(work):
                run = self._run(job, deadline, priority, patient=number > 0)
                under_way.append((job, asyncio.create_task(run)))
                # Let the task reach the queue before the next job is encoded.
                await asyncio.sleep(0)
                if len(under_way) == JOBS_UNDER_WAY:
                    job, task = under_way.popleft()
                    yield job, await _outcome(task)
            while under_way:
                job, task = under_way.popleft()
                yield job, await _outcome(task)
        finally:
            for _, task in under_way:
                task.cancel()
            await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)

    def _admitted(
        self, texts: Sequence[str], contexts: Iterable[int], results: dict[int, Conversion | HanjaserveError]
    ) -> Iterator[Text]:
        """Number the texts that are to be converted, and answer for the others."""
        limit = self._max_text_code_points
        for index, (text, skip) in enumerate(zip(texts, contexts, strict=False)):
            if not text:
                results[index] = Conversion(text="")
            elif len(text) > limit:
                results[index] = TextTooLong(
                    f"the text has {len(text)} code points, the limit is {limit}: send it in "
                    "parts, or start the server with a larger --max-text-code-points"
                )
            else:
                yield Text(index, text, skip)

    def _finish(self, assembly: Assembly, job: Job, outcomes: Sequence[Outcome]) -> list[Result]:
        started = self._clock()
        results = assembly.finish(job, outcomes)
        self._observer.rendered(texts=len(results), seconds=self._clock() - started)
        return results

    async def _run(
        self, job: Job, deadline: float | None, priority: Priority, *, patient: bool
    ) -> list[Outcome]:
        """Run a job; a call that has begun waits its turn rather than waste what it has."""
        arrays = arrays_of(job)
        if not arrays:
            return []
        while True:
            try:
                return await self._engine.run_each(arrays, priority=priority, deadline=deadline)
            except Overloaded as error:
                retry_at = self._clock() + error.retry_after_s
                if not patient or (deadline is not None and retry_at >= deadline):
                    raise
                await asyncio.sleep(error.retry_after_s)


async def _outcome(task: asyncio.Task[list[Outcome]]) -> list[Outcome]:
    """Wait for a task that ends with us, unlike one that is merely awaited."""
    try:
        return await task
    finally:
        task.cancel()
