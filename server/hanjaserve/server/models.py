"""The model in service, and how another takes its place while calls go on.

    reload -> open the new bundle -> self-test, warm-up -> swap -> the old one finishes what it has -> close

Every text is converted by exactly one model: the one in service when its conversion began. A stream that
lives on gets the new one with its next items. A new model that can't serve changes nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from hanjaserve.server.bundle import Manifest
from hanjaserve.server.converter import Conversion, TextConverter
from hanjaserve.server.entry import Priority
from hanjaserve.server.errors import Draining, HanjaserveError
from hanjaserve.server.metrics import Facts
from hanjaserve.server.observer import Blind, Observer
from hanjaserve.server.options import Options
from hanjaserve.server.readings import ReadingTable

logger = logging.getLogger(__name__)


class Runs(Protocol):
    """What a model runs on."""

    @property
    def dead(self) -> asyncio.Event:
        """Set once it will run nothing any more."""

    @property
    def device_lost(self) -> bool:
        """A GPU is of no use to this process any more."""


class Served(Protocol):
    """A model that can be in service: `model.Model`, or in a front-end process `remote.RemoteModel`."""

    manifest: Manifest
    readings: ReadingTable | None
    users: int

    @property
    def converter(self) -> TextConverter:
        """Converts with it."""

    @property
    def pool(self) -> Runs:
        """What it runs on."""

    @property
    def runner(self) -> str:
        """What computes at the moment."""

    @property
    def ladder(self) -> Sequence[str]:
        """What was skipped or has failed, each with its reason."""

    def facts(self, *, ready: bool) -> Facts:
        """What the metrics show; may be called from another thread."""

    async def close(self) -> None:
        """Give everything back; nobody uses it."""


class Models:
    """Converts with the model in service. An async context manager, which closes all of them.

    Attributes:
        current: The model in service; None before the first.
        dead: Set once the model in service has no runner left.
    """

    def __init__(self, open_model: Callable[[], Awaitable[Served]], observer: Observer | None = None) -> None:
        self.current: Served | None = None
        self.dead = asyncio.Event()
        self._open = open_model
        self._observer = observer or Blind()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def __aenter__(self) -> "Models":
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.current is not None:
            await self.current.close()

    async def load(self) -> None:
        """Put a model into service, in the place of the one that is there.

        Raises:
            HanjaserveError: It can't serve; the old one goes on.
        """
        async with self._reloading:
            model = await self._open()
            old, self.current = self.current, model
            self._spawn(self._watch(model))
            if old is not None:
                self._spawn(self._retire(old))

    async def reload(self) -> bool:
        """Load, and say in the log how it went; returns whether another model serves now."""
        try:
            await self.load()
        except HanjaserveError as error:
            logger.error("the old model goes on: %s", error)
            self._observer.reloaded(ok=False)
            return False
        assert self.current is not None
        logger.info("reloaded", extra={"fields": {"revision": self.current.manifest.revision}})
        self._observer.reloaded(ok=True)
        return True

    async def convert(
        self, text: str, options: Options, *, deadline: float | None = None, priority: Priority
    ) -> Conversion:
        """See `Converter.convert`."""
        with self._in_use() as model:
            return await model.converter.convert(text, options, deadline=deadline, priority=priority)

    async def convert_batch(
        self,
        texts: Sequence[str],
        options: Options,
        *,
        deadline: float | None = None,
        priority: Priority = Priority.BULK,
        contexts: Sequence[int] = (),
    ) -> list[Conversion | HanjaserveError]:
        """See `Converter.convert_batch`."""
        with self._in_use() as model:
            return await model.converter.convert_batch(
                texts, options, deadline=deadline, priority=priority, contexts=contexts
            )

    def facts(self, *, ready: bool) -> Facts:
        """What the metrics show; may be called from another thread."""
        return Facts(ready=ready) if self.current is None else self.current.facts(ready=ready)

    @property
    def device_lost(self) -> bool:
        """A GPU is of no use to this process any more."""
        return self.current is not None and self.current.pool.device_lost

    @contextmanager
    def _in_use(self) -> Iterator[Served]:
        model = self.current
        if model is None:
            raise Draining("the server is still loading its model: retry in a moment")
        model.users += 1
        try:
            yield model
        finally:
            model.users -= 1

    async def _retire(self, model: Served) -> None:
        while model.users:  # noqa: ASYNC110 - happens once in days, and costs nothing
            await asyncio.sleep(0.1)
        await model.close()
        logger.info("retired", extra={"fields": {"revision": model.manifest.revision}})

    async def _watch(self, model: Served) -> None:
        await model.pool.dead.wait()
        if model is self.current:
            self.dead.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
