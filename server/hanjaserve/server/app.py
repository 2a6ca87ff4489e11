"""From a configuration to a running server, and back to silence.

    open the bundle -> listen (health NOT_SERVING) -> runner, self-test, warm-up -> SERVING
    SIGTERM, SIGINT -> NOT_SERVING, new calls UNAVAILABLE -> calls under way finish -> exit 0

Calls get `grace_s` to finish; streams, which may have no end, are asked to end after half of it. A
second signal exits at once. What keeps the server from starting is one line on standard error and
exit code 2.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from hanjaserve.server import jsonlog
from hanjaserve.server.batcher import Batcher, Priority
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.callers import Callers
from hanjaserve.server.codec import make_codec
from hanjaserve.server.config import ServerConfig, add_arguments, from_namespace
from hanjaserve.server.converter import Converter
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.exposure import check_exposure
from hanjaserve.server.gate import Gate
from hanjaserve.server.guard import Guard
from hanjaserve.server.listener import Listener
from hanjaserve.server.options import Options
from hanjaserve.server.patience import Patience
from hanjaserve.server.pool import Pool
from hanjaserve.server.renewal import Renewable, keep_fresh
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.service import Backend, HanjaService
from hanjaserve.server.tls import Certificates
from hanjaserve.server.tokens import TokenFile

logger = logging.getLogger(__name__)

EXAMPLE = "대한민국의 수도는 서울이다"
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


def serve(config: ServerConfig) -> int:
    """Serve until a signal comes; returns the exit code."""
    jsonlog.configure(config.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(config))
    except HanjaserveError as error:
        return _refuse(error)


async def _serve(config: ServerConfig) -> int:
    check_exposure(config)
    tokens = TokenFile(Path(config.tokens)) if config.tokens else None
    certificates = _certificates(config)
    bundle = Bundle.open(config.bundle_path or _default_bundle())
    gate = Gate(max_concurrent_rpcs=config.max_concurrent_rpcs)
    service = HanjaService(config, gate)
    stop = _stop_on_signals()
    async with (
        Listener(config, service, _guard(config, tokens), certificates) as listener,
        _kept_fresh([source for source in (tokens, certificates) if source is not None]),
    ):
        runner, ladder = await asyncio.to_thread(open_runner, bundle, config.runner, config.threads)
        async with _pool(config, bundle, runner) as pool:
            backend = _backend(config, bundle, runner, ladder, pool)
            await _warm_up(backend.converter, config)
            service.go_live(backend)
            await listener.set_serving()
            print(banner(config, backend, listener.port), flush=True)
            await stop.wait()
            await _drain(config, gate, listener)
    logger.info("stopped")
    return 0


def _certificates(config: ServerConfig) -> Certificates | None:
    if not config.tls_cert:
        return None
    authority = Path(config.tls_client_ca) if config.tls_client_ca else None
    return Certificates(Path(config.tls_cert), Path(config.tls_key), authority)


def _guard(config: ServerConfig, tokens: TokenFile | None) -> Guard:
    callers = Callers(
        max_calls=config.max_calls_of_a_caller,
        calls_per_s=config.caller_calls_per_s,
        bytes_per_s=config.caller_bytes_per_s,
    )
    patience = Patience(
        request_s=config.request_s, reading_s=config.reading_s, max_waiting=config.max_concurrent_rpcs
    )
    return Guard(callers=callers, tokens=tokens, patience=patience)


@asynccontextmanager
async def _kept_fresh(sources: Sequence[Renewable]) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_fresh(sources))
    try:
        yield
    finally:
        task.cancel()


def _pool(config: ServerConfig, bundle: Bundle, runner: Runner) -> Pool:
    batcher = Batcher(max_batch_tokens=config.max_batch_tokens, max_queue_tokens=config.max_queue_tokens)
    manifest = bundle.manifest
    return Pool([runner], batcher, pad_id=manifest.pad_id, top_k=manifest.top_k)


def _backend(
    config: ServerConfig, bundle: Bundle, runner: Runner, ladder: Sequence[str], pool: Pool
) -> Backend:
    manifest = bundle.manifest
    return Backend(
        converter=Converter(
            bundle, make_codec(bundle), pool, max_text_code_points=config.max_text_code_points
        ),
        model=manifest.name,
        revision=manifest.revision,
        scheme=manifest.scheme,
        styles=tuple(manifest.styles),
        runner=runner.name,
        ladder=tuple(ladder),
    )


async def _warm_up(converter: Converter, config: ServerConfig) -> None:
    """Run one text and one full batch: allocates, and gives the batcher a first rate."""
    options = Options()
    await converter.convert(EXAMPLE, options, deadline=None, priority=Priority.INTERACTIVE)
    started = time.monotonic()
    texts = [EXAMPLE] * min(max(1, config.max_batch_tokens // 16), config.max_batch_items)
    await converter.convert_batch(texts, options, deadline=None, priority=Priority.BULK)
    seconds = time.monotonic() - started
    fields = {"texts": len(texts), "texts_per_s": round(len(texts) / seconds)}
    logger.info("warm", extra={"fields": fields})


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


def _stop_on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second exits at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _refuse(error: HanjaserveError) -> int:
    print(f"hanjaserve: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return 2
