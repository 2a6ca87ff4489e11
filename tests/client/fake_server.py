"""A fake server: real gRPC on a free port, canned conversions, faults on demand."""

import math
import threading
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2

from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1 import hanjaserve_pb2_grpc

POISON = "독"


@dataclass
class Fault:
    code: grpc.StatusCode
    message: str = "told to fail"
    retry_after_s: float | None = None


@dataclass
class FakeService(hanjaserve_pb2_grpc.HanjaServiceServicer):
    """Converts 수도 to 首都; `faults` end the next calls, `break_after` ends streams that early."""

    faults: list[Fault] = field(default_factory=list)
    break_after: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    options: pb.ConvertOptions | None = None
    limits: pb.Limits = field(
        default_factory=lambda: pb.Limits(
            max_text_code_points=1000,
            max_batch_items=8,
            max_message_bytes=100_000,
            max_stream_in_flight=16,
        )
    )
    ready_after: int = 0
    silent: threading.Event | None = None
    # So many calls of GetServerInfo are answered whatever `silent` says.
    infos_before_silence: float = math.inf
    target: str = ""

    def _enter(self, name: str, context: grpc.ServicerContext) -> None:
        self.calls.append(name)
        if self.faults:
            fail(context, self.faults.pop(0))

    def Convert(self, request: pb.ConvertRequest, context: Any) -> pb.ConvertResponse:
        self._enter("Convert", context)
        self.options = request.options
        return pb.ConvertResponse(conversion=convert(request.text))

    def BatchConvert(self, request: pb.BatchConvertRequest, context: Any) -> Any:
        self._enter("BatchConvert", context)
        self.batches.append(len(request.texts))
        response = pb.BatchConvertResponse()
        for text in request.texts:
            result = response.results.add()
            if POISON in text:
                result.error.CopyFrom(poisoned())
            else:
                result.conversion.CopyFrom(convert(text))
        return response

    def StreamConvert(self, requests: Any, context: Any) -> Any:
        self._enter("StreamConvert", context)
        allowed = self.break_after.pop(0) if self.break_after else None
        for message in requests:
            if message.WhichOneof("message") == "config":
                self.options = message.config.options
                continue
            response = pb.StreamConvertResponse()
            self.batches.append(len(message.items.items))
            for item in message.items.items:
                if allowed is not None:
                    if allowed == 0:
                        yield response
                        fail(context, Fault(grpc.StatusCode.UNAVAILABLE, "draining"))
                    allowed -= 1
                self.received.append(item.text)
                result = response.results.add(id=item.id)
                if POISON in item.text:
                    result.error.CopyFrom(poisoned())
                else:
                    result.conversion.CopyFrom(convert(item.text))
            if self.silent:
                self.silent.wait()
            yield response

    def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Any) -> Any:
        self._enter("GetServerInfo", context)
        if self.silent and self.calls.count("GetServerInfo") > self.infos_before_silence:
            self.silent.wait()
        self.ready_after -= 1
        return pb.GetServerInfoResponse(
            version="1.2.3",
            model="fake",
            model_revision="0123",
            scheme="syllable",
            runner="none",
            ladder=["tensorrt: no GPU"],
            limits=self.limits,
            styles=["modern", "scripture"],
            ready=self.ready_after < 0,
        )


def convert(text: str) -> pb.Conversion:
    at = text.find("수도")
    spans = []
    if at >= 0:
        other = pb.Alternative(hanja="水道", score=0.25)
        spans = [pb.Span(start=at, end=at + 2, hangul="수도", hanja="首都", score=0.5, alternatives=[other])]
    return pb.Conversion(text=text.replace("수도", "首都"), spans=spans)


def poisoned() -> status_pb2.Status:
    detail = AnyMessage()
    violation = error_details_pb2.BadRequest.FieldViolation(
        field="text", description="poison", reason="TEXT_TOO_LONG"
    )
    detail.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="poison", details=[detail])


def fail(context: Any, fault: Fault) -> NoReturn:
    if fault.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(fault.retry_after_s * 1e9))
        detail = AnyMessage()
        detail.Pack(retry)
        status = status_pb2.Status(code=fault.code.value[0], message=fault.message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(fault.code, fault.message)
    raise AssertionError
