"""FastAPI: an endpoint that calls the model, as its users most often serve models.

A plain `def` runs in Starlette's threads (https://fastapi.tiangolo.com/async/), so the event loop stays free.
There is no batching in FastAPI; one thread at a time may use the model.
"""

import os
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.model import TextModel

app = FastAPI()
model = TextModel()
lock = threading.Lock()


class Text(BaseModel):
    """What is sent and what comes back."""

    text: str


@app.post("/convert")
def convert(sent: Text) -> Text:
    """Convert one text."""
    with lock:
        return Text(text=model.convert([sent.text])[0])


if __name__ == "__main__":
    port = int(os.environ["PEER_PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
