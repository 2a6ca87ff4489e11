"""The methods of inference.GRPCInferenceService; what they take and give is in inference.proto.

A request is answered as a whole: the first of its texts that can't be converted fails it.
"""

import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from hanjaserve.kserve import inference_pb2 as pb
from hanjaserve.kserve.inference_pb2_grpc import GRPCInferenceServiceServicer
from hanjaserve.server import status
from hanjaserve.server.batcher import Priority
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import BadOption, Draining, HanjaserveError
from hanjaserve.server.gate import Call, Gate
from hanjaserve.server.kserve.model import BACKEND, VERSION, Counts, check_model, config, metadata
from hanjaserve.server.kserve.streaming import InferStream
from hanjaserve.server.kserve.tensors import options_from, response_to, texts_from, timeout_s
from hanjaserve.server.service import INTERACTIVE_CODE_POINTS, Backend, HanjaService
from hanjaserve.server.timing import CURRENT, Timing

EXTENSIONS = ("model_configuration", "statistics")
SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


class InferenceService(GRPCInferenceServiceServicer):
    """The service; it converts with the backend of `service`, once that has one."""

    def __init__(self, config: ServerConfig, service: HanjaService) -> None:
        self._config = config
        self._service = service
        self._counts = Counts()

    @property
    def _gate(self) -> Gate:
        return self._service.gate

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        """Whether the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        """Whether it converts."""
        return pb.ServerReadyResponse(ready=self._gate.ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """Whether the model that is asked for is there and converts."""
        try:
            check_model(self._service.live(), request.name, request.version)
        except (BadOption, Draining):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._gate.ready)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Any
    ) -> pb.ServerMetadataResponse:
        """Tell what the server is."""
        return pb.ServerMetadataResponse(name=BACKEND, version=version("hanjaserve"), extensions=EXTENSIONS)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """Tell what the model takes and gives."""
        return metadata(self._asked_for(request.name, request.version))

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Any) -> pb.ModelConfigResponse:
        """Tell how the model is set up."""
        return config(self._asked_for(request.name, request.version), self._config.max_batch_items)

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: Any
    ) -> pb.ModelStatisticsResponse:
        """Tell how much this service has done, and how long it took."""
        backend = self._asked_for(request.name or self._service.live().model, request.version)
        return self._counts.message(backend.model)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """Convert the texts of one request."""
        async with self._gate.call(context, "ModelInfer") as call:
            return await self._answer(request, call, call.timing)

    async def ModelStreamInfer(
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Convert the texts of many requests; one that fails does not end the call."""
        async with self._gate.call(context, "ModelStreamInfer") as call:

            async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
                # The task of one request: what it used must not be counted for the others.
                timing = Timing()
                CURRENT.set(timing)
                try:
                    response = await self._answer(request, call, timing)
                except HanjaserveError as error:
                    failed = pb.ModelInferResponse(id=request.id)
                    return pb.ModelStreamInferResponse(
                        error_message=status.status_of(error).message, infer_response=failed
                    )
                return pb.ModelStreamInferResponse(infer_response=response)

            stream = InferStream(answer)
            with self._gate.ended_by(stream.stop_reading):
                async for response in stream.responses(requests):
                    yield response

    async def _answer(
        self, request: pb.ModelInferRequest, call: Call, timing: Timing
    ) -> pb.ModelInferResponse:
        started = time.monotonic()
        try:
            texts = await self._converted(request, call)
        except Exception:
            self._counts.fail(time.monotonic() - started)
            raise
        self._counts.answer(len(texts), time.monotonic() - started, timing)
        return response_to(request, VERSION, texts)

    async def _converted(self, request: pb.ModelInferRequest, call: Call) -> list[str]:
        backend = self._asked_for(request.model_name, request.model_version)
        texts = texts_from(request, self._config.max_batch_items)
        options = options_from(request.parameters, backend.styles)
        call.items += len(texts)
        short = sum(map(len, texts)) <= INTERACTIVE_CODE_POINTS
        outcomes = await backend.converter.convert_batch(
            texts,
            options,
            deadline=_deadline(call.deadline, timeout_s(request.parameters)),
            priority=Priority.INTERACTIVE if short else Priority.BULK,
        )
        converted = []
        for outcome in outcomes:
            if isinstance(outcome, HanjaserveError):
                raise outcome
            converted.append(outcome.text)
        return converted

    def _asked_for(self, name: str, version: str) -> Backend:
        backend = self._service.live()
        check_model(backend, name, version)
        return backend


def _deadline(deadline: float | None, timeout: float | None) -> float | None:
    own = None if timeout is None else time.monotonic() + timeout
    return min((at for at in (deadline, own) if at is not None), default=None)
