"""What stands between the callers and a model: guard, gate, service, listener, in one process.

    Front -> listening, NOT_SERVING -> go_live: a model, SERVING -> pause, go_live, ... -> drain -> silence

A server of one process has one, beside its runner; with --frontends every front-end process has one.

Calls get `grace_s` to finish when it drains; streams, which may have no end, are asked to end after half of
it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.gate import Gate
from hanjaserve.server.glossaries import Glossaries, GlossaryLimits
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import Listener
from hanjaserve.server.metrics import Facts, Metrics
from hanjaserve.server.models import Models, Served
from hanjaserve.server.observer import Blind, Observer, Several
from hanjaserve.server.patience import Patience
from hanjaserve.server.renewal import Renewable, keep_fresh
from hanjaserve.server.service import Backend, HanjaService
from hanjaserve.server.tls import Certificates
from hanjaserve.server.tokens import TokenFile

logger = logging.getLogger(__name__)

# A draining server stops once no call has come for QUIET_S, which answers that are complete have to leave,
# and watchers of the health to notice; or after LAST_CALLS_S.
QUIET_S, LAST_CALLS_S = 0.5, 2.0


class Front:
    """An async context manager, which listens while it is open.

    Args:
        config: How to serve.
        open_model: Opens the next model to serve with.
        traces: Is told what happens, like the metrics.
        glossaries: Where stored glossaries are.

    Attributes:
        gate: Which calls come in.
        models: The model in service; closed with the front.
        metrics: What it counts, if there is a port for it.
        listener: The gRPC server.

    Raises:
        ConfigError: A file with tokens or certificates is at fault, or the address can't be listened on.
    """

    def __init__(
        self,
        config: ServerConfig,
        open_model: "Callable[[Front], Awaitable[Served]]",
        traces: Observer | None = None,
        glossaries: Glossaries | None = None,
    ) -> None:
        tokens, certificates = opened_files(config)
        self._config = config
        self._sources: list[Renewable] = [source for source in (tokens, certificates) if source is not None]
        self.gate = Gate(max_concurrent_rpcs=config.max_concurrent_rpcs)
        self.metrics = Metrics(self._facts) if config.metrics_port else None
        self.observer: Observer = Several([one for one in (self.metrics, traces) if one is not None])
        self.models = Models(lambda: open_model(self), self.observer)
        self._glossaries = glossaries or Glossaries(glossary_limits(config))
        self._service = HanjaService(config, self.gate)
        guard = _guard(config, tokens, self.observer)
        self.listener = Listener(config, self._service, guard, certificates)
        self._stack = AsyncExitStack()
        self._draining = False

    async def __aenter__(self) -> "Front":
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.listener)
            await stack.enter_async_context(_kept_fresh(self._sources))
            await stack.enter_async_context(self.models)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def go_live(self) -> Backend:
        """Open a model and let calls in; those under way go on with the old one.

        Raises:
            HanjaserveError: It can't serve.
        """
        await self.models.load()
        backend = self._backend()
        if self._draining:
            self._service.use(backend)
        else:
            self._service.go_live(backend)
            await self.listener.set_serving()
        return backend

    async def pause(self, reason: str, retry_after_s: float) -> None:
        """Let no calls in until the next model is there, and say why; health is NOT_SERVING meanwhile."""
        if not self._draining:
            self.gate.pause(reason, retry_after_s)
            await self.listener.pause()

    def describe(self) -> None:
        """Tell callers what serves now."""
        if self.models.current is not None:
            self._service.use(self._backend())

    async def reload(self) -> None:
        """Open the next model, which takes over if it is fit."""
        if await self.models.reload():
            self.describe()

    async def drain(self) -> None:
        """Health first, then new calls are refused, and what is under way may finish."""
        self._draining = True
        await drain(self._config, self.gate, self.listener)

    def _facts(self) -> Facts:
        return self.models.facts(ready=self.gate.ready)

    def _backend(self) -> Backend:
        return backend_of(self.models, self._glossaries)


def backend_of(models: Models, glossaries: Glossaries) -> Backend:
    """What the service converts with, once a model is there; glossaries are checked by its readings."""
    model = models.current
    assert model is not None
    glossaries.readings = model.readings
    return Backend(
        converter=models,
        model=model.manifest.name,
        revision=model.manifest.revision,
        scheme=model.manifest.scheme,
        styles=tuple(model.manifest.styles),
        runner=model.runner,
        ladder=tuple(model.ladder),
        glossaries=glossaries,
    )


@contextmanager
def opened_traces(config: ServerConfig) -> Iterator[Observer]:
    """See `traces.exporting`, which is imported only here; an observer that looks away if none are wanted.

    Raises:
        ConfigError: OpenTelemetry is not installed, or can't be set up so.
    """
    if not config.traces:
        yield Blind()
        return
    try:
        from hanjaserve.server.traces import exporting
    except ModuleNotFoundError as error:
        raise ConfigError(f"--traces needs {error.name}: pip install 'hanjaserve[otel]'") from None
    with exporting(config.traces) as traces:
        yield traces


def opened_files(config: ServerConfig) -> tuple[TokenFile | None, Certificates | None]:
    """Read what the configuration names, but for the bundle.

    Raises:
        ConfigError: A file is at fault.
    """
    tokens = TokenFile(Path(config.tokens)) if config.tokens else None
    if not config.tls_cert:
        return tokens, None
    authority = Path(config.tls_client_ca) if config.tls_client_ca else None
    return tokens, Certificates(Path(config.tls_cert), Path(config.tls_key), authority)


def glossary_limits(config: ServerConfig) -> GlossaryLimits:
    """What the configuration says about glossaries."""
    return GlossaryLimits(
        inline_entries=config.max_inline_glossary_entries,
        entries=config.max_glossary_entries,
        glossaries=config.max_glossaries,
    )


async def drain(config: ServerConfig, gate: Gate, listener: Listener) -> None:
    """See `Front.drain`."""
    logger.info("draining", extra={"fields": {"calls": gate.active, "grace_s": config.grace_s}})
    await listener.set_not_serving()
    gate.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(gate.idle(), config.grace_s / 2)
    gate.end_streams()
    try:
        await asyncio.wait_for(gate.idle(), config.grace_s / 2)
    except TimeoutError:
        fields = {"calls": gate.active, "grace_s": config.grace_s}
        logger.warning("calls did not finish within the grace period", extra={"fields": fields})
    # Go on saying UNAVAILABLE for a moment, until callers have understood and all answers have left, and
    # then hang up, also on callers who never understand.
    with suppress(TimeoutError):
        await asyncio.wait_for(gate.quiet(QUIET_S), LAST_CALLS_S)
    listener.hang_up()
    await listener.stop(0)


def _guard(config: ServerConfig, tokens: TokenFile | None, observer: Observer) -> Guard:
    callers = Callers(
        max_calls=config.max_calls_of_a_caller,
        calls_per_s=config.caller_calls_per_s,
        bytes_per_s=config.caller_bytes_per_s,
    )
    patience = Patience(
        request_s=config.request_s, reading_s=config.reading_s, max_waiting=config.max_concurrent_rpcs
    )
    return Guard(callers=callers, tokens=tokens, patience=patience, observer=observer)


@asynccontextmanager
async def _kept_fresh(sources: Sequence[Renewable]) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_fresh(sources))
    try:
        yield
    finally:
        task.cancel()
