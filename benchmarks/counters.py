"""What the server counts about itself, read from its /metrics before and after a load."""

import re
import urllib.request
from dataclasses import dataclass

TIMEOUT_S = 10.0
NAMES = {
    "tokens": "hanjaserve_tokens_total",
    "computed_tokens": "hanjaserve_computed_tokens_total",
    "batches": "hanjaserve_run_seconds_count",
    "run_s": "hanjaserve_run_seconds_sum",
    "cpu_s": "process_cpu_seconds_total",
    "rss_bytes": "process_resident_memory_bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters of a server, or their growth; `rss_bytes` is a size and does not grow.

    Attributes:
        tokens: Computed, without padding.
        computed_tokens: With padding.
        batches: Run.
        run_s: Seconds that they ran.
        cpu_s: Processor seconds of the process.
        rss_bytes: Its resident size.
    """

    tokens: float
    computed_tokens: float
    batches: float
    run_s: float
    cpu_s: float
    rss_bytes: float

    def since(self, before: "Counters") -> "Counters":
        """The growth since `before`."""
        return Counters(
            tokens=self.tokens - before.tokens,
            computed_tokens=self.computed_tokens - before.computed_tokens,
            batches=self.batches - before.batches,
            run_s=self.run_s - before.run_s,
            cpu_s=self.cpu_s - before.cpu_s,
            rss_bytes=self.rss_bytes,
        )

    @property
    def padding(self) -> float:
        """The share of computed tokens that was padding."""
        return 1 - self.tokens / self.computed_tokens if self.computed_tokens else 0.0


def read(metrics_address: str) -> Counters:
    """Read them from HOST:PORT."""
    with urllib.request.urlopen(f"http://{metrics_address}/metrics", timeout=TIMEOUT_S) as answer:
        return parse(answer.read().decode())


def parse(text: str) -> Counters:
    """Find them in the text format of Prometheus.

    Raises:
        LookupError: One is missing.
    """
    found = {}
    for field, name in NAMES.items():
        line = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        if line is None:
            raise LookupError(f"the server does not report {name}: benchmark and server do not match")
        found[field] = float(line[1])
    return Counters(**found)
