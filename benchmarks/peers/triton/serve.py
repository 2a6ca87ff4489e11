"""Triton through PyTriton: its Python backend, dynamic batching on, an instance for each core.

It speaks KServe v2 over gRPC.

https://triton-inference-server.github.io/pytriton/latest/inference_callables/
"""

import os
import sys
import sysconfig

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig

from benchmarks.peers.model import WORKERS, TextModel

MAX_BATCH_SIZE = 32
MAX_DELAY_US = 5_000

class Convert:
    """The model as PyTriton calls it."""

    def __init__(self) -> None:
        self._model = TextModel()

    @batch
    def __call__(self, TEXT: np.ndarray) -> dict[str, np.ndarray]:
        """Convert a batch: bytes [batch, 1] in and out."""
        texts = self._model.convert([one.decode() for one in TEXT.ravel()])
        return {"CONVERTED": np.array([[text.encode()] for text in texts], dtype=np.bytes_)}


def find_own_python() -> None:
    """Start again with this interpreter's libpython in front: Triton loads it by its bare name."""
    folder = sysconfig.get_config_var("LIBDIR")
    if os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)[0] != folder:
        environment = {**os.environ, "LD_LIBRARY_PATH": folder}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    find_own_python()
    config = TritonConfig(
        http_port=int(os.environ["PEER_SECOND_PORT"]),
        grpc_port=int(os.environ["PEER_PORT"]),
        http_address="127.0.0.1",
        grpc_address="127.0.0.1",
        allow_metrics=False,
        log_verbose=0,
    )
    # Without a token of one's own, the statistics that perf_analyzer reads are for nobody.
    security = TritonSecurityConfig(access_token=os.environ["PEER_TOKEN"])
    with Triton(config=config, security_config=security) as triton:
        triton.bind(
            model_name="hanja",
            infer_func=[Convert() for _ in range(WORKERS)],
            inputs=[Tensor(name="TEXT", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="CONVERTED", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=MAX_BATCH_SIZE,
                batcher=DynamicBatcher(max_queue_delay_microseconds=MAX_DELAY_US),
            ),
        )
        triton.serve()
