"""The client for asyncio.

    async with Client("127.0.0.1:50051") as client:
        conversion = await client.convert("대한민국의 수도는 서울이다")
        conversion.text                      # 大韓民國의 首都는 서울이다

One client holds one connection, on which calls run side by side: make one and share it between
the tasks of one event loop. `sync.py` is the same for code without an event loop; what both must
agree on (requests, results, errors, retries, the stream's window) is in modules that they share.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from hanjaserve.client.access import Metadata, with_token
from hanjaserve.client.aio_stream import AioStream
from hanjaserve.client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT_S,
    PARALLEL_BATCHES,
    aio_channel,
    not_ready,
    silent,
)
from hanjaserve.client.errors import DeadlineExceeded, Unavailable, error_from_rpc
from hanjaserve.client.glossary import (
    GlossaryEntry,
    GlossaryInfo,
    Words,
    glossary_from_proto,
    glossary_to_proto,
    info_from_proto,
)
from hanjaserve.client.live import LiveSession
from hanjaserve.client.observer import Blind, Observer
from hanjaserve.client.options import ConvertOptions, OptionFields
from hanjaserve.client.requests import (
    Prepared,
    batch_request,
    batch_results,
    code_points,
    convert_request,
    prepare,
    split_batch,
)
from hanjaserve.client.results import (
    Conversion,
    Limits,
    Result,
    ServerInfo,
    conversion_from_proto,
    server_info_from_proto,
)
from hanjaserve.client.retry import RESUMING, Attempts, RetryPolicy, scaled_timeout_s
from hanjaserve.client.stubs import aio_stub
from hanjaserve.v1 import hanjaserve_pb2 as pb

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response")


class Client:
    """Converts Hangul to Hanja on a hanjaserve server, for asyncio.

    Args:
        target: HOST:PORT, or any gRPC target such as unix:///run/hanjaserve.sock.
        timeout_s: How long a call may take, retries included, unless it is given its own
            `timeout_s`. Calls with much text get more by themselves.
        retry: When to try again; by default a live session that has begun is more patient than a call.
        credentials: For TLS, see `access.tls`; None connects in plain text.
        token: By which the server knows the caller; only over TLS, or on this machine.
        metadata: Sent with every call.
        observer: Watches the calls; see `traces.Traces`.

    Every method raises a `ConvertError`; see `errors.py` for the tree.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        metadata: Metadata = (),
        observer: Observer | None = None,
    ) -> None:
        self.target = target
        self._timeout_s = timeout_s
        self._retry = retry or RetryPolicy()
        self._resuming = retry or RESUMING
        self._metadata = with_token(metadata, token, target=target, credentials=credentials)
        self._observer = observer or Blind()
        self._channel = aio_channel(target, credentials)
        self._stub = aio_stub(self._channel)
        self._known_limits: Limits | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and what still runs on it."""
        await self._channel.close()

    async def convert(
        self, text: str, *, timeout_s: float | None = None, **options: Unpack[OptionFields]
    ) -> Conversion:
        """Convert one text.

        Args:
            text: The text; an empty one converts to itself.
            timeout_s: How long it may take, retries included.
            **options: See `ConvertOptions`.
        """
        request = convert_request(text, ConvertOptions(**options))
        timeout_s = timeout_s or scaled_timeout_s(self._timeout_s, len(text))
        response = await self._call(self._stub.Convert, request, timeout_s)
        return conversion_from_proto(response.conversion)

    async def convert_batch(
        self,
        texts: Sequence[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[OptionFields],
    ) -> list[Result]:
        """Convert many texts; cheaper per text than `convert`.

        Args:
            texts: As many as you like; they are cut into batches that the server accepts.
            timeout_s: How long all of it may take.
            **options: See `ConvertOptions`.

        Returns:
            In the order of the texts: a `Conversion`, or an `ItemError` for one that failed.
        """
        checked = ConvertOptions(**options)
        if not texts:
            return []
        limits = await self._limits()
        prepared = [prepare(text, limits) for text in texts]
        timeout_s = timeout_s or scaled_timeout_s(self._timeout_s, code_points(prepared))
        gate = asyncio.Semaphore(PARALLEL_BATCHES)

        async def convert_part(part: Sequence[Prepared]) -> list[Result]:
            async with gate:
                request = batch_request(part, checked)
                response = await self._call(self._stub.BatchConvert, request, timeout_s)
                return batch_results(part, response)

        tasks = [asyncio.create_task(convert_part(p)) for p in split_batch(prepared, limits, checked)]
        try:
            parts = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return [result for part in parts for result in part]

    async def convert_stream(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[OptionFields],
    ) -> AsyncIterator[Result]:
        """Convert texts without end, with bounded memory.

        Reads ahead only as far as the server allows and as results are taken. A stream that breaks
        is taken up again where it broke.

        Args:
            texts: A plain iterable is stepped on the event loop: when it may block, make it
                asynchronous.
            timeout_s: How long the server may owe an answer and stay silent.
            **options: See `ConvertOptions`.

        Yields:
            In the order of the texts: a `Conversion`, or an `ItemError` for one that failed.
        """
        checked, limits = ConvertOptions(**options), await self._limits()
        with self._observer.call(pb.StreamConvertRequest) as headers:
            stream = AioStream(
                self._stub,
                texts,
                options=checked,
                limits=limits,
                metadata=(*self._metadata, *headers),
                retry=self._retry,
                stall_s=timeout_s or self._timeout_s,
            )
            async with aclosing(stream.results()) as results:
                async for result in results:
                    yield result

    def live(
        self,
        *,
        by_line: bool = False,
        finals_only: bool = False,
        max_interim_per_s: int = 0,
        timeout_s: float | None = None,
        **options: Unpack[OptionFields],
    ) -> LiveSession:
        """Convert a document while it is edited: `async with client.live() as live`.

        Args:
            by_line: Convert lines rather than sentences.
            finals_only: Leave out results that may still change.
            max_interim_per_s: The most often that what is being typed is converted; 0 for as often as
                the server likes.
            timeout_s: How long a commit, a flush, the beginning and the end may take.
            **options: See `ConvertOptions`.
        """
        return LiveSession(
            self._stub,
            options=ConvertOptions(**options),
            by_line=by_line,
            finals_only=finals_only,
            max_interim_per_s=max_interim_per_s,
            metadata=self._metadata,
            observer=self._observer,
            retry=self._retry,
            resuming=self._resuming,
            timeout_s=timeout_s or self._timeout_s,
        )

    async def put_glossary(
        self, id: str, words: Words, *, expected_version: str = "", timeout_s: float | None = None
    ) -> GlossaryInfo:
        """Store words on the server, under an id; it forgets them when it ends.

        Args:
            id: 1 to 64 letters, digits, dots, hyphens and underscores.
            words: See `ConvertOptions.glossary`.
            expected_version: Replace only this version.
            timeout_s: How long it may take.
        """
        request = pb.PutGlossaryRequest(
            id=id, glossary=glossary_to_proto(words), expected_version=expected_version
        )
        response = await self._call(self._stub.PutGlossary, request, timeout_s or self._timeout_s)
        return info_from_proto(response.info)

    async def get_glossary(self, id: str, *, timeout_s: float | None = None) -> tuple[GlossaryEntry, ...]:
        """The words that are stored under an id."""
        request = pb.GetGlossaryRequest(id=id)
        response = await self._call(self._stub.GetGlossary, request, timeout_s or self._timeout_s)
        return glossary_from_proto(response.glossary)

    async def delete_glossary(
        self, id: str, *, expected_version: str = "", timeout_s: float | None = None
    ) -> None:
        """Remove the words that are stored under an id, or only a certain version of them."""
        request = pb.DeleteGlossaryRequest(id=id, expected_version=expected_version)
        await self._call(self._stub.DeleteGlossary, request, timeout_s or self._timeout_s)

    async def list_glossaries(self, *, timeout_s: float | None = None) -> list[GlossaryInfo]:
        """What the server has stored."""
        request = pb.ListGlossariesRequest()
        response = await self._call(self._stub.ListGlossaries, request, timeout_s or self._timeout_s)
        return [info_from_proto(info) for info in response.glossaries]

    async def server_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What is served, by which runner, within which limits."""
        request = pb.GetServerInfoRequest()
        timeout_s = timeout_s or self._timeout_s
        info = server_info_from_proto(await self._call(self._stub.GetServerInfo, request, timeout_s))
        self._known_limits = info.limits
        return info

    async def wait_ready(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> ServerInfo:
        """Wait until the server accepts conversions.

        Raises:
            Unavailable: It does not within `timeout_s`; says why, as far as that was seen.
        """
        patient = Attempts(RetryPolicy(max_attempts=2**31, max_delay_s=0.5), timeout_s=timeout_s)
        failure = silent(self.target, timeout_s)
        while True:
            try:
                info = await self.server_info(timeout_s=patient.left_s())
                if info.ready:
                    return info
                failure = not_ready(self.target)
            except Unavailable as error:
                failure = error
            except DeadlineExceeded:
                # The time ran out while it was being asked: what it said before tells more.
                raise failure from None
            await asyncio.sleep(patient.delay_after(failure))

    async def _limits(self) -> Limits:
        return self._known_limits or (await self.server_info()).limits

    async def _call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float,
    ) -> _Response:
        attempts = Attempts(self._retry, timeout_s=timeout_s)
        with self._observer.call(type(request)) as headers:
            metadata = (*self._metadata, *headers)
            while True:
                try:
                    return await method(request, timeout=attempts.left_s(), metadata=metadata)
                except grpc.RpcError as error:
                    failure = error_from_rpc(error)
                    delay_s = attempts.delay_after(failure)
                await asyncio.sleep(delay_s)
