"""What the one model takes and gives, and what it has done, in the words of the protocol."""

import time
from dataclasses import dataclass

from hanjaserve.kserve import inference_pb2 as pb
from hanjaserve.server.errors import BadOption
from hanjaserve.server.kserve.tensors import DATATYPE, INPUT, OUTPUT
from hanjaserve.server.service import Backend
from hanjaserve.server.timing import Timing

VERSION = "1"
"""Clients expect small numbers here; which model it really is, is the revision of GetServerInfo."""
BACKEND = "hanjaserve"
ANY_SIZE = -1


def check_model(backend: Backend, name: str, version: str) -> None:
    """Refuse a model that there is not.

    Raises:
        BadOption: Says which there is.
    """
    if name != backend.model:
        raise BadOption("model_name", f"the model {name[:64]!r} is unknown: use {backend.model!r}")
    if version not in ("", VERSION):
        raise BadOption("model_version", f"the version {version[:32]!r} is unknown: use {VERSION!r}")


def metadata(backend: Backend) -> pb.ModelMetadataResponse:
    """The tensors of the model; the first dimension is the batch."""
    shape = [ANY_SIZE, 1]
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=backend.model,
        versions=[VERSION],
        platform=f"{BACKEND}_{backend.scheme}",
        inputs=[tensor(name=INPUT, datatype=DATATYPE, shape=shape)],
        outputs=[tensor(name=OUTPUT, datatype=DATATYPE, shape=shape)],
    )


def config(backend: Backend, max_batch_size: int) -> pb.ModelConfigResponse:
    """How the model is set up."""
    return pb.ModelConfigResponse(
        config=pb.ModelConfig(
            name=backend.model,
            platform=f"{BACKEND}_{backend.scheme}",
            backend=BACKEND,
            max_batch_size=max_batch_size,
            input=[pb.ModelInput(name=INPUT, data_type=pb.TYPE_STRING, dims=[1])],
            output=[pb.ModelOutput(name=OUTPUT, data_type=pb.TYPE_STRING, dims=[1])],
            dynamic_batching=pb.ModelDynamicBatching(),
        )
    )


@dataclass(slots=True)
class Counts:
    """What this service has done since the server started."""

    texts: int = 0
    answered: int = 0
    answered_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    queue_ns: int = 0
    run_ns: int = 0
    last_ms: int = 0

    def answer(self, texts: int, seconds: float, timing: Timing) -> None:
        """Note a request that was answered."""
        self.texts += texts
        self.answered += 1
        self.answered_ns += int(1e9 * seconds)
        self.queue_ns += 1000 * timing.queue_us
        self.run_ns += 1000 * timing.run_us
        self.last_ms = int(1000 * time.time())

    def fail(self, seconds: float) -> None:
        """Note a request that failed."""
        self.failed += 1
        self.failed_ns += int(1e9 * seconds)

    def message(self, model: str) -> pb.ModelStatisticsResponse:
        """The counts as the protocol has them."""
        rest_ns = max(0, self.answered_ns - self.queue_ns - self.run_ns)
        duration = pb.StatisticDuration
        statistics = pb.ModelStatistics(
            name=model,
            version=VERSION,
            last_inference=self.last_ms,
            inference_count=self.texts,
            execution_count=self.answered,
            inference_stats=pb.InferStatistics(
                success=duration(count=self.answered, ns=self.answered_ns),
                fail=duration(count=self.failed, ns=self.failed_ns),
                queue=duration(count=self.answered, ns=self.queue_ns),
                compute_input=duration(count=self.answered),
                compute_infer=duration(count=self.answered, ns=self.run_ns),
                compute_output=duration(count=self.answered, ns=rest_ns),
            ),
        )
        return pb.ModelStatisticsResponse(model_stats=[statistics])
