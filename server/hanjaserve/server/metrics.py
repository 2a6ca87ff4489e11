"""What the server tells Prometheus, on a port of its own.

Counters and histograms are told of what happens (`observer.Observer`); gauges are read when somebody
asks. Labels take few values, all of them the server's own words: no text, token or address of a caller.

Names follow https://prometheus.io/docs/practices/naming/. Every one of them stands here, and the
dashboard in deploy/ may ask for no other.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    make_wsgi_app,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hanjaserve.server.errors import ConfigError
from hanjaserve.server.observer import BatchReport, Blind
from hanjaserve.server.timing import Timing

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ENTRIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# Shown as 0 from the start: Prometheus sees no increase in a series that begins with 1.
RUNNER_FAILURES = ("hang", "wrong_answer", "device_lost")
RELOADS = ("ok", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What holds right now.

    Attributes:
        ready: Whether calls are let in.
        queued_entries: Entries that wait.
        queued_tokens: Tokens that wait.
        running_tokens: Tokens on the runners, padding included.
        tokens_per_s: Measured rate; 0 before the first batch.
        model: Name, revision and scheme of what serves, and the runner; None while loading.
        skipped: Runners above it in the ladder that don't serve.
    """

    ready: bool = False
    queued_entries: int = 0
    queued_tokens: int = 0
    running_tokens: int = 0
    tokens_per_s: float = 0.0
    model: tuple[str, str, str, str] | None = None
    skipped: int = 0


class Metrics(Blind):
    """An observer that counts.

    Args:
        facts: Gives what holds right now; called by another thread.
    """

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self.registry = CollectorRegistry()
        self._facts = facts
        self._page = make_wsgi_app(self.registry)
        ProcessCollector(registry=self.registry)
        self.registry.register(_FactsCollector(facts))
        self._requests = Counter(
            "hanjaserve_requests", "Calls that have ended", ("method", "code"), registry=self.registry
        )
        self._in_progress = Gauge(
            "hanjaserve_calls_in_progress",
            "Calls under way; for LiveConvert, the live sessions",
            ("method",),
            registry=self.registry,
        )
        self._rejected = Counter(
            "hanjaserve_rejected", "Calls refused or failed", ("reason",), registry=self.registry
        )
        self._runner_failures = Counter(
            "hanjaserve_runner_failures", "Runners taken out of service", ("reason",), registry=self.registry
        )
        self._reloads = Counter(
            "hanjaserve_reloads", "Attempts to serve another model", ("result",), registry=self.registry
        )
        self._request_seconds = self._histogram("request_seconds", "Calls, from headers to status", "method")
        self._queue_seconds = self._histogram("queue_seconds", "Longest wait for a runner in a call")
        self._run_seconds = self._histogram("run_seconds", "Batches on a runner")
        self._batch_entries = Histogram(
            "hanjaserve_batch_entries", "Entries of a batch", buckets=ENTRIES, registry=self.registry
        )
        self._tokens = Counter(
            "hanjaserve_tokens", "Tokens computed, without padding", registry=self.registry
        )
        self._computed_tokens = Counter(
            "hanjaserve_computed_tokens", "Tokens computed, padding included", registry=self.registry
        )
        for reason in RUNNER_FAILURES:
            self._runner_failures.labels(reason)
        for result in RELOADS:
            self._reloads.labels(result)

    def application(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """The WSGI application of the metrics port."""
        if environ.get("PATH_INFO") != "/ready":
            page: Iterable[bytes] = self._page(environ, start_response)
            return page
        ready = self._facts().ready
        start_response("200 OK" if ready else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ready\n" if ready else b"not ready\n"]

    def call_began(self, method: str, headers: Mapping[str, str | bytes]) -> None:
        """See `Observer`."""
        self._in_progress.labels(method).inc()

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        """See `Observer`."""
        self._in_progress.labels(method).dec()
        self._requests.labels(method, code).inc()
        self._request_seconds.labels(method).observe(seconds)
        if timing is not None and timing.tokens:
            self._queue_seconds.observe(timing.queue_us / 1e6)

    def call_refused(self, reason: str) -> None:
        """See `Observer`."""
        self._rejected.labels(reason).inc()

    def batch_ended(self, report: BatchReport) -> None:
        """See `Observer`."""
        self._run_seconds.observe(report.seconds)
        self._batch_entries.observe(len(report.entries))
        self._tokens.inc(report.tokens)
        self._computed_tokens.inc(report.computed_tokens)

    def runner_failed(self, reason: str) -> None:
        """See `Observer`."""
        self._runner_failures.labels(reason).inc()

    def reloaded(self, *, ok: bool) -> None:
        """See `Observer`."""
        self._reloads.labels("ok" if ok else "failed").inc()

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"hanjaserve_{name}", help_text, labels, buckets=SECONDS, registry=self.registry)


class _FactsCollector(Collector):
    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        facts = self._facts()
        wait_s = facts.queued_tokens / facts.tokens_per_s if facts.tokens_per_s else 0.0
        gauges: dict[str, tuple[str, float]] = {
            "ready": ("Whether calls are let in", facts.ready),
            "queued_entries": ("Entries that wait for a runner", facts.queued_entries),
            "queued_tokens": ("Tokens that wait for a runner", facts.queued_tokens),
            "queued_seconds": ("How long the queue takes at the measured rate", wait_s),
            "running_tokens": ("Tokens on the runners, padding included", facts.running_tokens),
            "tokens_per_second": ("Measured rate of the runners, padding included", facts.tokens_per_s),
            "ladder_steps": ("Better runners that don't serve", facts.skipped),
        }
        for name, (help_text, value) in gauges.items():
            yield GaugeMetricFamily(f"hanjaserve_{name}", help_text, value=float(value))
        labels = ("model", "revision", "scheme", "runner")
        info = GaugeMetricFamily("hanjaserve_model_info", "What serves; the value is 1", labels=labels)
        if facts.model is not None:
            info.add_metric(facts.model, 1.0)
        yield info


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # Whoever opens connections and says nothing must not keep threads for long.
    timeout = 10


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape is no event."""


class Exposable(Protocol):
    """What answers on the metrics port."""

    def application(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """A WSGI application."""


@contextmanager
def exposed(metrics: Exposable, host: str, port: int) -> Iterator[None]:
    """Answer `GET /metrics` and `GET /ready` while the block runs, in threads of its own.

    /ready is 200 or 503, for load balancers that can't ask grpc.health.v1.

    Raises:
        ConfigError: The address can't be listened on.
    """
    try:
        server = make_server(host, port, metrics.application, _Server, handler_class=_Handler)
    except OSError as error:
        raise ConfigError(
            f"cannot serve metrics on port {port} of {host} ({error.strerror}): choose another --metrics-port"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
