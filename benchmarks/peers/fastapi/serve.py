"""FastAPI: an endpoint that calls the model, as its users most often serve models.

A plain `def` runs in Starlette's threads (https://fastapi.tiangolo.com/async/), so the event loop stays free.
There is no batching in FastAPI; as many threads as there are cores may use a model at a time.
"""

import os
from queue import SimpleQueue

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.model import WORKERS, TextModel

app = FastAPI()
models: SimpleQueue[TextModel] = SimpleQueue()
for _ in range(WORKERS):
    models.put(TextModel())


class Text(BaseModel):
    """What is sent and what comes back."""

    text: str


@app.post("/convert")
def convert(sent: Text) -> Text:
    """Convert one text."""
    model = models.get()
    try:
        return Text(text=model.convert([sent.text])[0])
    finally:
        models.put(model)


if __name__ == "__main__":
    port = int(os.environ["PEER_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
