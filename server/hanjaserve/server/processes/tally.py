"""The metrics of all processes on one page: what each of them counts, added up.

Every process counts for itself (`metrics.Metrics`) and is asked when somebody looks. What an ended one had
counted when it was last asked stays in the sums, or the counters would run backwards.

Readiness is the exception: the server is ready if any process is. Times (of a start, of a series' creation)
are those of the oldest.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

READY = "hanjaserve_ready"
OLDEST = ("_created", "_start_time_seconds")
LASTING = ("counter", "histogram")

Family = list[Any]
"""Name, documentation, type, and samples: [name, labels, value]; what JSON can carry."""
Key = tuple[str, tuple[tuple[str, str], ...]]


def families_of(registry: CollectorRegistry) -> list[Family]:
    """What a process has counted."""
    return [
        [found.name, found.documentation, found.type, [[s.name, s.labels, s.value] for s in found.samples]]
        for found in registry.collect()
    ]


class Tally(Collector):
    """Adds up; also the page of the metrics port.

    Args:
        ask: Returns what every process that lives has counted, by pid; None for one that did not answer in
            time, for which the last answer counts. Called by another thread.
    """

    def __init__(self, ask: Callable[[], dict[int, list[Family] | None]]) -> None:
        self._ask = ask
        self._one_at_a_time = threading.Lock()
        self._known: dict[int, list[Family]] = {}
        self._past: list[list[Family]] = []
        registry = CollectorRegistry()
        registry.register(self)
        self._page = make_wsgi_app(registry)

    def application(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """See `metrics.Exposable`."""
        if environ.get("PATH_INFO") != "/ready":
            page: Iterable[bytes] = self._page(environ, start_response)
            return page
        ready = any(s.value for family in self.collect() if family.name == READY for s in family.samples)
        start_response("200 OK" if ready else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ready\n" if ready else b"not ready\n"]

    def collect(self) -> Iterator[Metric]:
        """Ask everybody, and yield the sums."""
        with self._one_at_a_time:
            answers = self._ask()
            for pid in self._known.keys() - answers.keys():
                self._bury(self._known.pop(pid))
            self._known.update({pid: families for pid, families in answers.items() if families is not None})
            sums = summed([*self._past, *self._known.values()])
        yield from sums

    def _bury(self, families: list[Family]) -> None:
        lasting = [family for family in families if family[2] in LASTING]
        # One entry for all of the dead, however many there have been.
        self._past = [[_plain(metric) for metric in summed([*self._past, lasting])]]


def summed(pages: Iterable[list[Family]]) -> list[Metric]:
    """Add families of the same name up, sample by sample."""
    metrics: dict[str, Metric] = {}
    values: dict[str, dict[Key, float]] = {}
    for page in pages:
        for name, documentation, kind, samples in page:
            metrics.setdefault(name, Metric(name, documentation, kind))
            own = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = (sample, tuple(labels.items()))
                own[key] = _joined(sample, own[key], value) if key in own else value
    for name, own in values.items():
        for (sample, labels), value in own.items():
            metrics[name].add_sample(sample, dict(labels), value)
    return list(metrics.values())


def _joined(name: str, one: float, other: float) -> float:
    if name == READY:
        return max(one, other)
    return min(one, other) if name.endswith(OLDEST) else one + other


def _plain(metric: Metric) -> Family:
    return [
        metric.name, metric.documentation, metric.type, [[s.name, s.labels, s.value] for s in metric.samples]
    ]  # fmt: skip
