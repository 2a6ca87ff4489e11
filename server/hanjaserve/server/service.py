"""The gRPC methods of hanjaserve.v1.HanjaService.

Each one checks its request, hands it to the converter, and puts the outcome into messages. Errors
are raised, never formatted, here; `gate.py` turns them into statuses. Before a `Backend` is set,
and after the gate has closed, only GetServerInfo answers.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from hanjaserve.server.batcher import Priority
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.converter import TextConverter
from hanjaserve.server.errors import BatchTooLarge, Draining, TextTooLong
from hanjaserve.server.gate import Gate
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.glossary_service import GlossaryService
from hanjaserve.server.live.settings import LiveBounds, LiveBudget
from hanjaserve.server.live.stream import LiveStream
from hanjaserve.server.messages import batch_response, check_parsed, convert_response, options_from
from hanjaserve.server.streaming import StreamSession
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceServicer

# A longer text takes more than a batch on a CPU: whoever sends short ones must not wait for many such.
INTERACTIVE_CODE_POINTS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is told about a model in service.

    Attributes:
        model: Its name.
        revision: The hash of its bundle.
        scheme: Its label scheme.
        runner: What computes.
        ladder: What was skipped or has failed, each with its reason.
    """

    model: str
    revision: str
    scheme: str
    runner: str
    ladder: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(Described):
    """What converts."""

    converter: TextConverter
    styles: tuple[str, ...]
    glossaries: Glossaries = field(default_factory=Glossaries)


class HanjaService(GlossaryService, HanjaServiceServicer):
    """The service; `context` is a `grpc.aio.ServicerContext` throughout."""

    def __init__(self, config: ServerConfig, gate: Gate) -> None:
        self._config = config
        self._gate = gate
        self._backend: Backend | None = None
        self._live_budget = LiveBudget(config.max_live_total_code_points)
        self._live_bounds = LiveBounds(
            code_points=config.max_live_code_points,
            edits_per_s=config.max_live_edits_per_s,
            interim_per_s=config.max_live_interim_per_s,
        )

    def go_live(self, backend: Backend) -> None:
        """Convert with `backend` from now on, and let calls in."""
        self.use(backend)
        self._gate.open()

    def use(self, backend: Backend) -> None:
        """Convert with `backend` from now on."""
        self._backend = backend

    async def Convert(self, request: pb.ConvertRequest, context: Any) -> pb.ConvertResponse:
        """Convert one text."""
        async with self._gate.call(context, "Convert") as call:
            backend = self.live()
            check_parsed(request)
            options = options_from(request.options, backend.styles, backend.glossaries)
            call.items = 1
            conversion = await backend.converter.convert(
                request.text,
                options,
                deadline=call.deadline,
                priority=_priority(len(request.text)),
            )
            response = convert_response(conversion)
            self._check_size(response.ByteSize())
        return response

    async def BatchConvert(self, request: pb.BatchConvertRequest, context: Any) -> pb.BatchConvertResponse:
        """Convert several texts; one result or status per text."""
        async with self._gate.call(context, "BatchConvert") as call:
            backend = self.live()
            check_parsed(request)
            if len(request.texts) > self._config.max_batch_items:
                raise BatchTooLarge(
                    f"the batch has {len(request.texts)} texts, the limit is "
                    f"{self._config.max_batch_items}: send several batches, or use StreamConvert"
                )
            options = options_from(request.options, backend.styles, backend.glossaries)
            call.items = len(request.texts)
            outcomes = await backend.converter.convert_batch(
                request.texts, options, deadline=call.deadline, priority=Priority.BULK
            )
            response = batch_response(outcomes)
            self._check_size(response.ByteSize())
        return response

    async def StreamConvert(
        self, requests: AsyncIterator[pb.StreamConvertRequest], context: Any
    ) -> AsyncIterator[pb.StreamConvertResponse]:
        """Convert items as they come; results in the same order."""
        async with self._gate.call(context, "StreamConvert") as call:
            backend = self.live()
            session = StreamSession(
                backend.converter,
                call,
                styles=backend.styles,
                glossaries=backend.glossaries,
                max_batch_items=self._config.max_batch_items,
                max_in_flight=self._config.max_stream_in_flight,
            )
            with self._gate.ended_by(session.stop_reading):
                async for response in session.responses(requests):
                    yield response

    async def LiveConvert(
        self, requests: AsyncIterator[pb.LiveRequest], context: Any
    ) -> AsyncIterator[pb.LiveResponse]:
        """Convert a document while it is edited."""
        async with self._gate.call(context, "LiveConvert") as call:
            backend = self.live()
            stream = LiveStream(
                backend.converter,
                call,
                bounds=self._live_bounds,
                budget=self._live_budget,
                styles=backend.styles,
                glossaries=backend.glossaries,
                model_revision=backend.revision,
            )
            with self._gate.ended_by(stream.stop_reading):
                async for response in stream.responses(requests):
                    yield response

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Any) -> pb.GetServerInfoResponse:
        """Tell what is served; answers even while the server loads or drains."""
        config = self._config
        response = pb.GetServerInfoResponse(
            version=version("hanjaserve"),
            limits=pb.Limits(
                max_text_code_points=config.max_text_code_points,
                max_batch_items=config.max_batch_items,
                max_message_bytes=config.max_message_bytes,
                max_stream_in_flight=config.max_stream_in_flight,
                max_inline_glossary_entries=config.max_inline_glossary_entries,
                max_glossary_entries=config.max_glossary_entries,
                max_glossaries=config.max_glossaries,
                max_live_code_points=config.max_live_code_points,
            ),
            ready=self._gate.ready,
            frontends=config.frontends,
        )
        if backend := self._backend:
            response.model = backend.model
            response.model_revision = backend.revision
            response.scheme = backend.scheme
            response.runner = backend.runner
            response.ladder.extend(backend.ladder)
            response.styles.extend(backend.styles)
        return response

    def _glossaries(self) -> Glossaries:
        return self.live().glossaries

    @property
    def gate(self) -> Gate:
        """Which calls come in."""
        return self._gate

    def live(self) -> Backend:
        """What converts.

        Raises:
            Draining: The model is still being loaded.
        """
        if self._backend is None:
            raise Draining("the server is still loading its model: retry in a moment")
        return self._backend

    def _check_size(self, size: int) -> None:
        """Callers set their own receive limit by ours, so exceeding it would fail obscurely."""
        if size > self._config.max_message_bytes:
            raise TextTooLong(
                f"the response has {size} bytes, the limit is {self._config.max_message_bytes}: "
                "send less at a time, or ask for fewer spans and alternatives"
            )


def _priority(code_points: int) -> Priority:
    return Priority.INTERACTIVE if code_points <= INTERACTIVE_CODE_POINTS else Priority.BULK
