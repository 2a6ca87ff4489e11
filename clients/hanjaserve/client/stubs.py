"""Types for the generated stub, which has none.

The generated module is used as it is; this only says what its attributes are, once for sync
channels and once for aio ones.
"""

from typing import Protocol, cast

import grpc

from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1 import hanjaserve_pb2_grpc


class AioStub(Protocol):
    """HanjaServiceStub over a grpc.aio.Channel."""

    Convert: "grpc.aio.UnaryUnaryMultiCallable[pb.ConvertRequest, pb.ConvertResponse]"
    BatchConvert: "grpc.aio.UnaryUnaryMultiCallable[pb.BatchConvertRequest, pb.BatchConvertResponse]"
    StreamConvert: "grpc.aio.StreamStreamMultiCallable[pb.StreamConvertRequest, pb.StreamConvertResponse]"
    LiveConvert: "grpc.aio.StreamStreamMultiCallable[pb.LiveRequest, pb.LiveResponse]"
    PutGlossary: "grpc.aio.UnaryUnaryMultiCallable[pb.PutGlossaryRequest, pb.PutGlossaryResponse]"
    GetGlossary: "grpc.aio.UnaryUnaryMultiCallable[pb.GetGlossaryRequest, pb.GetGlossaryResponse]"
    DeleteGlossary: "grpc.aio.UnaryUnaryMultiCallable[pb.DeleteGlossaryRequest, pb.DeleteGlossaryResponse]"
    ListGlossaries: "grpc.aio.UnaryUnaryMultiCallable[pb.ListGlossariesRequest, pb.ListGlossariesResponse]"
    GetServerInfo: "grpc.aio.UnaryUnaryMultiCallable[pb.GetServerInfoRequest, pb.GetServerInfoResponse]"


class SyncStub(Protocol):
    """HanjaServiceStub over a grpc.Channel."""

    Convert: "grpc.UnaryUnaryMultiCallable[pb.ConvertRequest, pb.ConvertResponse]"
    BatchConvert: "grpc.UnaryUnaryMultiCallable[pb.BatchConvertRequest, pb.BatchConvertResponse]"
    StreamConvert: "grpc.StreamStreamMultiCallable[pb.StreamConvertRequest, pb.StreamConvertResponse]"
    PutGlossary: "grpc.UnaryUnaryMultiCallable[pb.PutGlossaryRequest, pb.PutGlossaryResponse]"
    GetGlossary: "grpc.UnaryUnaryMultiCallable[pb.GetGlossaryRequest, pb.GetGlossaryResponse]"
    DeleteGlossary: "grpc.UnaryUnaryMultiCallable[pb.DeleteGlossaryRequest, pb.DeleteGlossaryResponse]"
    ListGlossaries: "grpc.UnaryUnaryMultiCallable[pb.ListGlossariesRequest, pb.ListGlossariesResponse]"
    GetServerInfo: "grpc.UnaryUnaryMultiCallable[pb.GetServerInfoRequest, pb.GetServerInfoResponse]"


def aio_stub(channel: grpc.aio.Channel) -> AioStub:
    """The stub of an aio channel."""
    stub: object = hanjaserve_pb2_grpc.HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
    return cast(AioStub, stub)


def sync_stub(channel: grpc.Channel) -> SyncStub:
    """The stub of a sync channel."""
    stub: object = hanjaserve_pb2_grpc.HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
    return cast(SyncStub, stub)
