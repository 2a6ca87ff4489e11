"""The gRPC server behind the bridge. Messages are bytes here: nothing is parsed on the way."""

from types import TracebackType
from typing import Self, TypeAlias

import grpc

from hanjaserve.client.access import Access
from hanjaserve.client.aio_stream import known_cause
from hanjaserve.client.channel import aio_channel
from hanjaserve.client.errors import ConvertError, Unavailable, error_from_rpc
from hanjaserve.client.reach import NOBODY, why_unreachable
from hanjaserve.v1 import hanjaserve_pb2 as pb

SERVICE: str = pb.DESCRIPTOR.services_by_name["HanjaService"].full_name

LiveCall: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class Upstream:
    """A channel to a server. An async context manager, made within an event loop.

    Raises:
        ValueError: The token would cross a network in plain text.
    """

    def __init__(self, access: Access) -> None:
        self.target = access.target
        self._metadata = access.metadata
        self._channel = aio_channel(access.target, access.credentials)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

    def live(self) -> LiveCall:
        """Begin a LiveConvert call."""
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(
            f"/{SERVICE}/LiveConvert"
        )
        return method(metadata=tuple(self._metadata))

    async def call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        """Make a call with one request and one response.

        Raises:
            ConvertError: It failed.
        """
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            f"/{SERVICE}/{method}"
        )
        try:
            return await unary(request, timeout=timeout_s, metadata=tuple(self._metadata))
        except grpc.RpcError as error:
            raise self.error(error) from error

    def error(self, error: grpc.RpcError) -> ConvertError:
        """The error of a failed call, in words that tell what to do."""
        found = known_cause(error_from_rpc(error))
        if isinstance(found, Unavailable) and NOBODY in found.message:
            return Unavailable(why_unreachable(self.target, found.message))
        return found
