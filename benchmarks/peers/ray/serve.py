"""Ray Serve behind its gRPC proxy, batching on, a replica for each core.

https://docs.ray.io/en/latest/serve/advanced-guides/grpc-guide.html

It serves hanjaserve's own Convert method, so that the same client calls it.
"""

import os
import time

import ray
from ray import serve
from ray.serve.config import gRPCOptions

from benchmarks.peers.model import WORKERS, TextModel
from hanjaserve.v1 import hanjaserve_pb2 as pb

ADD = "hanjaserve.v1.hanjaserve_pb2_grpc.add_HanjaServiceServicer_to_server"


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Convert:
    """The service."""

    def __init__(self) -> None:
        self.model = TextModel()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def converted(self, texts: list[str]) -> list[str]:
        """Convert a batch."""
        return self.model.convert(texts)

    async def Convert(self, request: pb.ConvertRequest) -> pb.ConvertResponse:
        """Convert one text."""
        return pb.ConvertResponse(conversion=pb.Conversion(text=await self.converted(request.text)))


if __name__ == "__main__":
    # Half a core for each replica leaves Ray one for its own proxy and controller; it limits nothing.
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    port = int(os.environ["PEER_PORT"])
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_SECOND_PORT"])},
        grpc_options=gRPCOptions(port=port, grpc_servicer_functions=[ADD]),
    )
    serve.run(Convert.bind(), name="convert", route_prefix="/convert")
    while True:
        time.sleep(60)
