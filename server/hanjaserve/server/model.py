"""A model in service: a bundle with its runners, queue and converter, opened and closed together."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from hanjaserve.server.batcher import Batcher, Priority
from hanjaserve.server.bundle import Bundle, Manifest
from hanjaserve.server.codec import make_codec
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.converter import Converter
from hanjaserve.server.crew import Watch
from hanjaserve.server.metrics import Facts
from hanjaserve.server.observer import Observer
from hanjaserve.server.options import Options
from hanjaserve.server.pool import Pool
from hanjaserve.server.readings import READINGS, ReadingTable
from hanjaserve.server.runners.base import BucketedRunner, Runner, streams_of
from hanjaserve.server.runners.buckets import LENGTHS, MAX_BATCH_TOKENS, parse_lengths
from hanjaserve.server.runners.gpu import GpuOptions
from hanjaserve.server.runners.ladder import RUNGS, Rung, rungs_for
from hanjaserve.server.runners.question import Question
from hanjaserve.server.runners.succession import Succession
from hanjaserve.server.words import Words

logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 512
"""More hardly makes a core faster, and who comes next waits for it."""
EXAMPLE = "대한민국의 수도는 서울이다"


class Model:
    """One model. Make it with `open`; an async context manager closes it.

    Attributes:
        manifest: What the bundle says about itself.
        converter: Converts with it.
        pool: Its runners; `pool.dead` is set when none is left.
        batcher: Its queue.
        readings: Which Hanja are read like a syllable, if the bundle knows.
        users: Calls of the converter that are under way, counted by `models.Models`.
    """

    def __init__(
        self,
        bundle: Bundle,
        runner: Runner,
        succession: Succession,
        config: ServerConfig,
        observer: Observer,
        on_change: Callable[[], None],
        words: Words,
        readings: ReadingTable | None,
    ) -> None:
        self.manifest: Manifest = bundle.manifest
        self.readings = readings
        self.users = 0
        self._succession = succession
        self._on_change = on_change
        self._stack = AsyncExitStack()
        self.batcher = _batcher(config, runner)
        watch = Watch(
            patience_s=config.runner_patience_s,
            check=Question(bundle),
            check_every_s=config.runner_check_s,
            replace=self._next_runner,
        )
        self.pool = Pool(
            [runner],
            self.batcher,
            pad_id=self.manifest.pad_id,
            top_k=self.manifest.top_k,
            observer=observer,
            watch=watch,
            revision=self.manifest.revision,
        )
        self.converter = Converter(
            bundle,
            make_codec(bundle),
            self.pool,
            words=words,
            max_text_code_points=config.max_text_code_points,
            observer=observer,
        )

    @classmethod
    async def open(
        cls,
        path: Path,
        config: ServerConfig,
        observer: Observer,
        *,
        on_change: Callable[[], None],
        rungs: tuple[Rung, ...] = RUNGS,
    ) -> "Model":
        """Open a bundle, check all of it, test a runner and warm it up. Takes seconds.

        Args:
            path: The bundle's folder.
            config: How to serve.
            observer: Is told about batches and failures.
            on_change: Called when another runner computes.
            rungs: The runners that there are.

        Raises:
            HanjaserveError: Why it can't serve.
        """
        bundle = await asyncio.to_thread(Bundle.open, path)
        succession = Succession(bundle, config.runner, config.threads, rungs=rungs)
        runner = await asyncio.to_thread(succession.first)
        words = await asyncio.to_thread(Words.open, bundle)
        readings = ReadingTable.open(bundle) if bundle.has(READINGS) else None
        model = cls(bundle, runner, succession, config, observer, on_change, words, readings)
        await model._stack.enter_async_context(model.pool)
        try:
            await _warm_up(model.converter, model.batcher.max_batch_tokens, config.max_batch_items)
        except BaseException:
            await model.close()
            raise
        return model

    @property
    def runner(self) -> str:
        """What computes at the moment."""
        return ", ".join(self.pool.runner_names) or "none"

    @property
    def ladder(self) -> Sequence[str]:
        """What was skipped or has failed, each with its reason."""
        return self._succession.steps

    def facts(self, *, ready: bool) -> Facts:
        """What the metrics show; may be called from another thread."""
        manifest, batcher = self.manifest, self.batcher
        return Facts(
            ready=ready,
            queued_entries=len(batcher),
            queued_tokens=batcher.queued_tokens,
            running_tokens=batcher.running_tokens,
            tokens_per_s=batcher.tokens_per_s or 0.0,
            model=(manifest.name, manifest.revision, manifest.scheme, self.runner),
            skipped=len(self.ladder),
        )

    async def close(self) -> None:
        """Close the runners once they have done what they were given."""
        await self._stack.aclose()

    async def _next_runner(self) -> Runner:
        try:
            return await asyncio.to_thread(self._succession.next)
        finally:
            asyncio.get_running_loop().call_soon(self._on_change)


def configured_rungs(config: ServerConfig) -> tuple[Rung, ...]:
    """Every runner that there is, as configured."""
    gpu = GpuOptions(
        max_batch_tokens=config.max_batch_tokens or MAX_BATCH_TOKENS,
        lengths=parse_lengths(config.gpu_buckets) if config.gpu_buckets else LENGTHS,
        lanes=config.gpu_lanes,
        cache_root=Path(config.plan_cache) if config.plan_cache else None,
    )
    return rungs_for(gpu)


def default_bundle() -> "os.PathLike[str]":
    """The bundle that comes along."""
    from hanjaserve.models import default_bundle_path

    return default_bundle_path()


def _batcher(config: ServerConfig, runner: Runner) -> Batcher:
    """A queue whose batches suit the runner: on a GPU, its buckets."""
    if not isinstance(runner, BucketedRunner):
        return Batcher(
            max_batch_tokens=config.max_batch_tokens or CPU_BATCH_TOKENS,
            max_queue_tokens=config.max_queue_tokens,
            runners=streams_of(runner),
        )
    return Batcher(
        max_batch_tokens=runner.buckets.max_batch_tokens,
        max_queue_tokens=config.max_queue_tokens,
        length_of=runner.buckets.length_of,
    )


async def _warm_up(converter: Converter, max_batch_tokens: int, max_batch_items: int) -> None:
    """Run one text and one full batch: allocates, and gives the batcher a first rate."""
    options = Options()
    await converter.convert(EXAMPLE, options, deadline=None, priority=Priority.INTERACTIVE)
    started = time.monotonic()
    texts = [EXAMPLE] * min(max(1, max_batch_tokens // 16), max_batch_items)
    await converter.convert_batch(texts, options, deadline=None, priority=Priority.BULK)
    seconds = time.monotonic() - started
    fields = {"texts": len(texts), "texts_per_s": round(len(texts) / seconds)}
    logger.info("warm", extra={"fields": fields})
