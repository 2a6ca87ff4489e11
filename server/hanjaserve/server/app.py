"""From a configuration to a running server, and back to silence.

    open the bundle -> listen (health NOT_SERVING) -> runner, self-test, warm-up -> SERVING
    SIGHUP -> the bundle's folder is opened again, and its model takes over (models.py)
    SIGTERM, SIGINT -> NOT_SERVING, new calls UNAVAILABLE -> calls under way finish -> exit 0

Calls get `grace_s` to finish; streams, which may have no end, are asked to end after half of it. A
second signal exits at once. What keeps the server from starting is one line on standard error and
exit code 2.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from hanjaserve.server import jsonlog
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig, add_arguments, from_namespace
from hanjaserve.server.errors import ConfigError, HanjaserveError
from hanjaserve.server.exposure import check_exposure
from hanjaserve.server.gate import Gate
from hanjaserve.server.glossaries import Glossaries, GlossaryLimits
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import Listener
from hanjaserve.server.metrics import Metrics, exposed
from hanjaserve.server.model import EXAMPLE, Model
from hanjaserve.server.models import Models
from hanjaserve.server.observer import Observer, Several
from hanjaserve.server.patience import Patience
from hanjaserve.server.renewal import Renewable, keep_fresh
from hanjaserve.server.runners.buckets import LENGTHS, MAX_BATCH_TOKENS, parse_lengths
from hanjaserve.server.runners.gpu import GpuOptions
from hanjaserve.server.runners.ladder import Rung, rungs_for
from hanjaserve.server.service import Backend, HanjaService
from hanjaserve.server.signals import first_is_second, on_hangup, stop_on_signals
from hanjaserve.server.tls import Certificates
from hanjaserve.server.tokens import TokenFile

logger = logging.getLogger(__name__)

DIED, DEVICE_LOST = 70, 71
"""Exit codes of a server that has no runner left, and of one whose GPU is lost to its process.

Whoever watches it starts it again.
"""
# How long answers that are complete may take to leave, and watchers of the health to notice.
FLUSH_S = 0.5
# A draining server stops once no call has come for QUIET_S, or after LAST_CALLS_S.
QUIET_S, LAST_CALLS_S = 0.2, 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="hanjaserve serve", description="Serve Hangul to Hanja conversion over gRPC."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(namespace: argparse.Namespace) -> int:
    """Serve with parsed arguments (see `config.add_arguments`); returns the exit code."""
    try:
        return serve(from_namespace(namespace, os.environ))
    except HanjaserveError as error:
        return _refuse(error)


def serve(config: ServerConfig, rungs: tuple[Rung, ...] = ()) -> int:
    """Serve until a signal comes, with one of these runners or any; returns the exit code."""
    jsonlog.configure(config.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(_serve(config, rungs or rungs_for(_gpu_options(config))))
    except HanjaserveError as error:
        return _refuse(error)
    if code == DEVICE_LOST:
        # Whatever is still on the GPU can't be freed, and trying to has crashed processes at their end.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def _gpu_options(config: ServerConfig) -> GpuOptions:
    return GpuOptions(
        max_batch_tokens=config.max_batch_tokens or MAX_BATCH_TOKENS,
        lengths=parse_lengths(config.gpu_buckets) if config.gpu_buckets else LENGTHS,
        lanes=config.gpu_lanes,
        cache_root=Path(config.plan_cache) if config.plan_cache else None,
    )


async def _serve(config: ServerConfig, rungs: tuple[Rung, ...]) -> int:
    check_exposure(config)
    tokens = TokenFile(Path(config.tokens)) if config.tokens else None
    certificates = _certificates(config)
    stop = stop_on_signals()
    gate = Gate(max_concurrent_rpcs=config.max_concurrent_rpcs)
    service = HanjaService(config, gate)
    glossaries = _glossaries(config)
    metrics = Metrics(lambda: models.facts(ready=gate.ready)) if config.metrics_port else None

    def describe() -> None:
        if models.current is not None:
            service.use(_backend(models, models.current, glossaries))

    async def reload() -> None:
        if await models.reload():
            describe()

    path = Path(config.bundle_path or _default_bundle())
    Bundle.open(path)  # a damaged one is refused before anybody can connect
    async with AsyncExitStack() as stack:
        observer = _observers(config, metrics, stack)
        models = Models(lambda: Model.open(path, config, observer, on_change=describe, rungs=rungs), observer)
        if metrics:
            stack.enter_context(exposed(metrics, config.metrics_host, config.metrics_port))
        guard = _guard(config, tokens, observer)
        listener = await stack.enter_async_context(Listener(config, service, guard, certificates))
        await stack.enter_async_context(_kept_fresh([s for s in (tokens, certificates) if s is not None]))
        await stack.enter_async_context(models)
        stack.enter_context(on_hangup(reload))
        await models.load()
        assert models.current is not None
        backend = _backend(models, models.current, glossaries)
        service.go_live(backend)
        await listener.set_serving()
        print(banner(config, backend, listener.port), flush=True)
        died = await first_is_second(stop, models.dead)
        await _drain(config, gate, listener)
    logger.info("stopped")
    if models.device_lost:
        return DEVICE_LOST
    return DIED if died else 0


def _observers(config: ServerConfig, metrics: Metrics | None, stack: AsyncExitStack) -> Observer:
    observers: list[Observer] = [metrics] if metrics else []
    if config.traces:
        observers.append(stack.enter_context(open_traces(config.traces)))
    return Several(observers)


def open_traces(destination: str) -> AbstractContextManager[Observer]:
    """See `traces.exporting`, which is imported only here.

    Raises:
        ConfigError: OpenTelemetry is not installed, or can't be set up so.
    """
    try:
        from hanjaserve.server.traces import exporting
    except ModuleNotFoundError as error:
        raise ConfigError(f"--traces needs {error.name}: pip install 'hanjaserve[otel]'") from None
    return exporting(destination)


def _certificates(config: ServerConfig) -> Certificates | None:
    if not config.tls_cert:
        return None
    authority = Path(config.tls_client_ca) if config.tls_client_ca else None
    return Certificates(Path(config.tls_cert), Path(config.tls_key), authority)


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


def _backend(models: Models, model: Model, glossaries: Glossaries) -> Backend:
    manifest = model.manifest
    glossaries.readings = model.readings
    return Backend(
        converter=models,
        model=manifest.name,
        revision=manifest.revision,
        scheme=manifest.scheme,
        styles=tuple(manifest.styles),
        runner=model.runner,
        ladder=tuple(model.ladder),
        glossaries=glossaries,
    )


def _glossaries(config: ServerConfig) -> Glossaries:
    limits = GlossaryLimits(
        inline_entries=config.max_inline_glossary_entries,
        entries=config.max_glossary_entries,
        glossaries=config.max_glossaries,
    )
    return Glossaries(limits)


async def _drain(config: ServerConfig, gate: Gate, listener: Listener) -> None:
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
    # gRPC cancels a call that arrives while it stops, which looks like the caller's own doing. So
    # go on saying UNAVAILABLE for a moment, until callers have understood.
    with suppress(TimeoutError):
        await asyncio.wait_for(gate.quiet(QUIET_S), LAST_CALLS_S)
    await listener.stop(FLUSH_S)


def banner(config: ServerConfig, backend: Backend, port: int) -> str:
    """What a person who starts the server wants to know."""
    address = f"{_bracketed(config.host)}:{port}"
    target = "" if address == "127.0.0.1:50051" else f"--target {address} "
    skipped = "".join(f"\n          skipped {step}" for step in backend.ladder)
    return (
        f"hanjaserve {version('hanjaserve')}\n"
        f"  model   {backend.model} {backend.revision} ({backend.scheme})\n"
        f"  runner  {backend.runner}{skipped}\n"
        f"  serving {address}\n"
        f'  try     hanjaserve convert {target}"{EXAMPLE}"'
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _default_bundle() -> "os.PathLike[str]":
    from hanjaserve.models import default_bundle_path

    return default_bundle_path()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where there is one: 8 to 10 % more calls per second."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[no-any-return]


def _refuse(error: HanjaserveError) -> int:
    print(f"hanjaserve: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return 2
