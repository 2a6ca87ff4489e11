"""Peers as targets of loads: JSON over HTTP, KServe v2, or our own protocol."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import grpc

from benchmarks.load import Refused
from hanjaserve.kserve import inference_pb2 as kserve_pb
from hanjaserve.kserve.inference_pb2_grpc import GRPCInferenceServiceStub
from hanjaserve.server.kserve.tensors import join, split
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub

TIMEOUT_S = 60.0


class Peer(Protocol):
    """A target that also shows what it answers."""

    async def convert(self, texts: Sequence[str]) -> None:
        """See `load.Target`."""

    async def answer(self, text: str) -> str:
        """Convert one text; raises Refused."""


class _OneByOne:
    """Converts a call's texts one after the other."""

    async def convert(self, texts: Sequence[str]) -> None:
        """See `Peer.convert`."""
        for text in texts:
            await self.answer(text)

    async def answer(self, text: str) -> str:
        """See `Peer.answer`."""
        raise NotImplementedError


class Http(_OneByOne):
    """POST with JSON."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, as_list: bool) -> None:
        self._session, self._url, self._as_list = session, url, as_list

    async def answer(self, text: str) -> str:
        """See `Peer.answer`."""
        body: dict[str, Any] = {"texts": [text]} if self._as_list else {"text": text}
        try:
            async with self._session.post(self._url, json=body) as response:
                content = await response.read()
                if response.status != 200:
                    raise Refused(f"HTTP {response.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refused(type(error).__name__) from None
        found = json.loads(content)
        answered: str = found[0] if self._as_list else found["text"]
        return answered


class Grpc(_OneByOne):
    """A unary method that takes and gives messages."""

    def __init__(
        self, method: Callable[..., Any], request: Callable[[str], Any], text: Callable[[Any], str]
    ) -> None:
        self._method, self._request, self._text = method, request, text

    async def answer(self, text: str) -> str:
        """See `Peer.answer`."""
        try:
            return self._text(await self._method(self._request(text), timeout=TIMEOUT_S))
        except grpc.aio.AioRpcError as error:
            raise Refused(error.code().name) from None


@asynccontextmanager
async def http(port: int, *, path: str, as_list: bool = False) -> AsyncIterator[Peer]:
    """A server that takes JSON."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Http(session, f"http://127.0.0.1:{port}{path}", as_list=as_list)


@asynccontextmanager
async def hanja(port: int) -> AsyncIterator[Peer]:
    """A server that speaks our protocol."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
        yield Grpc(
            stub.Convert,
            lambda text: pb.ConvertRequest(text=text),
            lambda response: response.conversion.text,
        )


@asynccontextmanager
async def kserve(port: int, *, model: str) -> AsyncIterator[Peer]:
    """A server that speaks KServe v2."""

    def request(text: str) -> kserve_pb.ModelInferRequest:
        made = kserve_pb.ModelInferRequest(model_name=model, raw_input_contents=[join([text.encode()])])
        made.inputs.add(name="TEXT", datatype="BYTES", shape=[1, 1])
        return made

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        yield Grpc(
            stub.ModelInfer, request, lambda response: split(response.raw_output_contents[0])[0].decode()
        )
