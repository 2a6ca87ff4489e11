"""BentoML: adaptive batching on, a worker for each core (https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html).

Started as `bentoml serve serve:Convert`.
"""

import bentoml

from benchmarks.peers.model import WORKERS, TextModel


@bentoml.service(workers=WORKERS, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Convert:
    """The service."""

    def __init__(self) -> None:
        self.model = TextModel()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=60_000)
    def convert(self, texts: list[str]) -> list[str]:
        """Convert a batch; how long to wait for it, BentoML learns."""
        return self.model.convert(texts)
