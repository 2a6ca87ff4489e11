"""LitServe: batching on, a worker for each core (https://lightning.ai/docs/litserve/features/batching)."""

import os

import litserve

from benchmarks.peers.model import WORKERS, TextModel

MAX_BATCH_SIZE = 32
BATCH_TIMEOUT_S = 0.005


class Convert(litserve.LitAPI):
    """The steps of a request."""

    def setup(self, device: str) -> None:
        """Open the model in the worker."""
        self.model = TextModel()

    def decode_request(self, request: dict[str, str]) -> str:
        """Take the text out of the JSON."""
        return request["text"]

    def predict(self, texts: list[str]) -> list[str]:
        """Convert a batch."""
        return self.model.convert(texts)

    def encode_response(self, text: str) -> dict[str, str]:
        """Put the text into JSON."""
        return {"text": text}


if __name__ == "__main__":
    api = Convert(max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS, track_requests=False)
    server.run(
        host="127.0.0.1", port=int(os.environ["PEER_PORT"]), generate_client_file=False, log_level="warning"
    )
