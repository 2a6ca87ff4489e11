"""The client for code without an event loop; see `aio.py`.

It has a sync channel of its own rather than a hidden event loop: it may be shared between threads,
and it does not get in the way of an event loop that the process runs besides.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from hanjaserve.client.access import Metadata, with_token
from hanjaserve.client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT_S,
    PARALLEL_BATCHES,
    channel_options,
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
from hanjaserve.client.retry import Attempts, RetryPolicy, scaled_timeout_s
from hanjaserve.client.stubs import sync_stub
from hanjaserve.client.sync_stream import SyncStream
from hanjaserve.v1 import hanjaserve_pb2 as pb

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response")


INTERRUPTED_CLOSE_S = 1.0
"""How long to wait for gRPC when a signal ends the process."""


class SyncClient:
    """Converts Hangul to Hanja on a hanjaserve server; the arguments are those of `Client`.

    May be shared between threads.
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
        self._metadata = with_token(metadata, token, target=target, credentials=credentials)
        self._observer = observer or Blind()
        options = channel_options(target)
        self._channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )
        self._stub = sync_stub(self._channel)
        self._known_limits: Limits | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, Exception):
            self.close()
            return
        # A signal ends the process. It may have struck inside gRPC, whose close() then waits for ever for a
        # call that it has lost sight of.
        closing = threading.Thread(target=self.close, daemon=True)
        closing.start()
        closing.join(INTERRUPTED_CLOSE_S)

    def close(self) -> None:
        """End the connection and what still runs on it."""
        self._channel.close()

    def convert(
        self, text: str, *, timeout_s: float | None = None, **options: Unpack[OptionFields]
    ) -> Conversion:
        """Convert one text; see `Client.convert`."""
        request = convert_request(text, ConvertOptions(**options))
        timeout_s = timeout_s or scaled_timeout_s(self._timeout_s, len(text))
        response = self._call(self._stub.Convert, request, timeout_s)
        return conversion_from_proto(response.conversion)

    def convert_batch(
        self,
        texts: Sequence[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[OptionFields],
    ) -> list[Result]:
        """Convert many texts; see `Client.convert_batch`."""
        checked = ConvertOptions(**options)
        if not texts:
            return []
        limits = self._limits()
        prepared = [prepare(text, limits) for text in texts]
        budget_s = timeout_s or scaled_timeout_s(self._timeout_s, code_points(prepared))

        def convert_part(part: Sequence[Prepared]) -> list[Result]:
            response = self._call(self._stub.BatchConvert, batch_request(part, checked), budget_s)
            return batch_results(part, response)

        parts = list(split_batch(prepared, limits, checked))
        if len(parts) == 1:
            return convert_part(parts[0])
        threads = ThreadPoolExecutor(PARALLEL_BATCHES, thread_name_prefix="hanjaserve-batch")
        try:
            # The threads go on in the caller's context, each in a copy of its own.
            calls = [partial(copy_context().run, convert_part, part) for part in parts]
            return [result for results in threads.map(lambda call: call(), calls) for result in results]
        finally:
            threads.shutdown(cancel_futures=True)

    def convert_stream(
        self,
        texts: Iterable[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[OptionFields],
    ) -> Iterator[Result]:
        """Convert texts without end, with bounded memory; see `Client.convert_stream`.

        The texts are read in a thread of their own, so they may block.
        """
        return self._stream(
            texts, ConvertOptions(**options), self._limits(), stall_s=timeout_s or self._timeout_s
        )

    def put_glossary(
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
        response = self._call(self._stub.PutGlossary, request, timeout_s or self._timeout_s)
        return info_from_proto(response.info)

    def get_glossary(self, id: str, *, timeout_s: float | None = None) -> tuple[GlossaryEntry, ...]:
        """The words that are stored under an id."""
        request = pb.GetGlossaryRequest(id=id)
        response = self._call(self._stub.GetGlossary, request, timeout_s or self._timeout_s)
        return glossary_from_proto(response.glossary)

    def delete_glossary(
        self, id: str, *, expected_version: str = "", timeout_s: float | None = None
    ) -> None:
        """Remove the words that are stored under an id, or only a certain version of them."""
        request = pb.DeleteGlossaryRequest(id=id, expected_version=expected_version)
        self._call(self._stub.DeleteGlossary, request, timeout_s or self._timeout_s)

    def list_glossaries(self, *, timeout_s: float | None = None) -> list[GlossaryInfo]:
        """What the server has stored."""
        request = pb.ListGlossariesRequest()
        response = self._call(self._stub.ListGlossaries, request, timeout_s or self._timeout_s)
        return [info_from_proto(info) for info in response.glossaries]

    def server_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What is served, by which runner, within which limits."""
        request = pb.GetServerInfoRequest()
        timeout_s = timeout_s or self._timeout_s
        info = server_info_from_proto(self._call(self._stub.GetServerInfo, request, timeout_s))
        self._known_limits = info.limits
        return info

    def wait_ready(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> ServerInfo:
        """Wait until the server accepts conversions; see `Client.wait_ready`."""
        patient = Attempts(RetryPolicy(max_attempts=2**31, max_delay_s=0.5), timeout_s=timeout_s)
        failure = silent(self.target, timeout_s)
        while True:
            try:
                info = self.server_info(timeout_s=patient.left_s())
                if info.ready:
                    return info
                failure = not_ready(self.target)
            except Unavailable as error:
                failure = error
            except DeadlineExceeded:
                # The time ran out while it was being asked: what it said before tells more.
                raise failure from None
            time.sleep(patient.delay_after(failure))

    def _limits(self) -> Limits:
        return self._known_limits or self.server_info().limits

    def _stream(
        self, texts: Iterable[str], options: ConvertOptions, limits: Limits, *, stall_s: float
    ) -> Iterator[Result]:
        with self._observer.call(pb.StreamConvertRequest) as headers:
            stream = SyncStream(
                self._stub,
                texts,
                options=options,
                limits=limits,
                metadata=(*self._metadata, *headers),
                retry=self._retry,
                stall_s=stall_s,
            )
            yield from stream.results()

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_s: float,
    ) -> _Response:
        attempts = Attempts(self._retry, timeout_s=timeout_s)
        with self._observer.call(type(request)) as headers:
            metadata = (*self._metadata, *headers)
            while True:
                try:
                    return method(request, timeout=attempts.left_s(), metadata=metadata)
                except grpc.RpcError as error:
                    failure = error_from_rpc(error)
                    delay_s = attempts.delay_after(failure)
                time.sleep(delay_s)
