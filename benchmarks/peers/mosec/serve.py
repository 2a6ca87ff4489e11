"""mosec: batching on, a worker for each core (https://mosecorg.github.io/mosec/examples/pytorch.html)."""

import os
import sys

from mosec import Server, Worker

from benchmarks.peers.model import WORKERS, TextModel

MAX_BATCH_SIZE = 32
MAX_WAIT_MS = 5


class Convert(Worker):
    """Bodies are JSON by default."""

    def __init__(self) -> None:
        self.model = TextModel()

    def forward(self, data: list[dict[str, str]]) -> list[dict[str, str]]:
        """Convert a batch."""
        return [{"text": text} for text in self.model.convert([one["text"] for one in data])]


if __name__ == "__main__":
    sys.argv += ["--address", "127.0.0.1", "--port", os.environ["PEER_PORT"], "--log-level", "warning"]
    server = Server()
    server.append_worker(Convert, num=WORKERS, max_batch_size=MAX_BATCH_SIZE, max_wait_time=MAX_WAIT_MS)
    server.run()
