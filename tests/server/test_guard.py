"""The guard over real gRPC: who comes in, how far, and what comes out when something breaks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanjaserve.server.assembly import Conversion
from hanjaserve.server.callers import Callers
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import Overloaded, RuntimeFault, TextTooLong
from hanjaserve.server.gate import Gate
from hanjaserve.server.guard import Guard, reason_of
from hanjaserve.server.listener import Listener
from hanjaserve.server.patience import Patience
from hanjaserve.server.rights import Right
from hanjaserve.server.service import HanjaService
from hanjaserve.server.timing import FLOW, Timing
from hanjaserve.server.tokens import TokenFile, make_token, token_line
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub

from .test_app import BACKEND

Code = grpc.StatusCode
BIG = "a" * 200_000
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class Log:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.reasons: list[str] = []

    def call_ended(self, method: str, code: str, seconds: float, timing: Timing | None) -> None:
        assert seconds >= 0
        self.calls.append((method.rpartition("/")[2], code))

    def call_refused(self, reason: str) -> None:
        self.reasons.append(reason)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None


class Harness:
    def __init__(self, target: str, channel: grpc.aio.Channel, guard: Guard, log: Log) -> None:
        self.target = target
        self.channel, self.guard, self.log = channel, guard, log
        self.stub: Any = HanjaServiceStub(channel)  # type: ignore[no-untyped-call]

    async def refused(self, call: Any) -> tuple[Code, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        trailer = dict(caught.value.trailing_metadata())
        assert trailer["hanjaserve-rpc-id"]
        return caught.value.code(), caught.value.details() or ""


@asynccontextmanager
async def guarded(
    *, tokens: TokenFile | None = None, callers: Callers | None = None, patience: Patience | None = None
) -> AsyncIterator[Harness]:
    config = ServerConfig(port=0)
    service, log = HanjaService(config, Gate(max_concurrent_rpcs=1024)), Log()
    callers = callers or Callers(max_calls=100)
    guard = Guard(callers=callers, tokens=tokens, patience=patience, observer=log)
    async with Listener(config, service, guard) as listener:
        service.go_live(BACKEND)
        await listener.set_serving()
        target = f"127.0.0.1:{listener.port}"
        async with grpc.aio.insecure_channel(target) as channel:
            yield Harness(target, channel, guard, log)


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Name of a right -> token that has it alone; and the file."""
    made = {right.value: make_token() for right in Right}
    lines = [token_line(right, [Right(right)], token) for right, token in made.items()]
    (tmp_path / "tokens").write_text("\n".join(lines))
    return {**made, "file": str(tmp_path / "tokens")}


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def test_without_a_token_only_probes_are_answered(tokens: dict[str, str]) -> None:
    async with guarded(tokens=TokenFile(Path(tokens["file"]))) as harness:
        for header in ([], bearer("nonsense"), bearer(""), [("authorization", tokens["convert"])]):
            code, _ = await harness.refused(harness.stub.Convert(pb.ConvertRequest(), metadata=header))
            assert code is Code.UNAUTHENTICATED
        code, _ = await harness.refused(harness.stub.GetServerInfo(pb.GetServerInfoRequest()))
        assert code is Code.UNAUTHENTICATED
        health = health_pb2_grpc.HealthStub(harness.channel)
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
    assert harness.log.reasons == ["unauthenticated"] * 5


class FlowConverter:
    """Converts every text into the flow of its call."""

    async def convert(self, text: str, options: object, **named: object) -> Conversion:
        return Conversion(text=str(FLOW.get()))


async def test_named_callers_are_a_flow_each_and_nameless_ones_as_many_as_they_have_connections(
    tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.server.test_guard.BACKEND", replace(BACKEND, converter=FlowConverter()))
    flows = []
    for file in (None, TokenFile(Path(tokens["file"]))):
        async with guarded(tokens=file) as harness:
            for number in range(2):
                async with grpc.aio.insecure_channel(harness.target, OWN_CONNECTION) as channel:
                    stub: Any = HanjaServiceStub(channel)  # type: ignore[no-untyped-call]
                    for _ in range(2):
                        request = pb.ConvertRequest(text=str(number))
                        answer = await stub.Convert(request, metadata=bearer(tokens["convert"]))
                        flows.append(answer.conversion.text)
    assert flows[0] == flows[1] != flows[2] == flows[3]
    assert flows[0].startswith("ipv4:127.0.0.1:")
    assert flows[4:] == ["convert"] * 4


async def test_a_token_opens_what_it_has_the_right_for(tokens: dict[str, str]) -> None:
    async with guarded(tokens=TokenFile(Path(tokens["file"]))) as harness:
        good = await harness.stub.Convert(pb.ConvertRequest(text="a"), metadata=bearer(tokens["convert"]))
        assert good.conversion.text == "A"
        await harness.stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=bearer(tokens["live"]))
        for right in ("live", "glossary", "admin"):
            call = harness.stub.Convert(pb.ConvertRequest(), metadata=bearer(tokens[right]))
            code, message = await harness.refused(call)
            assert code is Code.PERMISSION_DENIED
            assert "lacks the right convert" in message
        stream = harness.stub.StreamConvert(iter([]), metadata=bearer(tokens["live"]))
        code, _ = await harness.refused(stream.read())
        assert code is Code.PERMISSION_DENIED
        assert await harness.stub.StreamConvert(iter([]), metadata=bearer(tokens["convert"])).read() == (
            grpc.aio.EOF
        )


async def test_a_stranger_cannot_make_the_server_read_a_message(tokens: dict[str, str]) -> None:
    """The answer comes before the message is received: it is over the size limit, and nobody notices."""
    async with guarded(tokens=TokenFile(Path(tokens["file"]))) as harness:
        request = pb.ConvertRequest(text="a" * 20_000_000)
        code, _ = await harness.refused(harness.stub.Convert(request))
        assert code is Code.UNAUTHENTICATED
        code, _ = await _code(harness.stub.Convert(request, metadata=bearer(tokens["convert"])))
        assert code is Code.RESOURCE_EXHAUSTED


async def _code(call: Any) -> tuple[Code, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_a_method_nobody_has_decided_about_is_shut(
    tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanjaserve.server import rights

    monkeypatch.delitem(rights.HANJASERVE, "Convert")
    async with guarded(tokens=TokenFile(Path(tokens["file"]))) as harness:
        call = harness.stub.Convert(pb.ConvertRequest(), metadata=bearer(tokens["admin"]))
        code, message = await harness.refused(call)
        assert code is Code.PERMISSION_DENIED
        assert "rights.py" in message
    async with guarded() as harness:
        assert (await harness.refused(harness.stub.Convert(pb.ConvertRequest())))[0] is Code.PERMISSION_DENIED


async def test_unknown_method() -> None:
    async with guarded() as harness:
        code, _ = await _code(harness.channel.unary_unary("/hanjaserve.v1.HanjaService/Nope")(b""))
        assert code is Code.UNIMPLEMENTED


async def test_share_is_held_until_the_answer_is_taken() -> None:
    async with guarded(callers=Callers(max_calls=1)) as harness:
        for _ in range(3):
            await harness.stub.Convert(pb.ConvertRequest(text="a"))
        session = harness.stub.StreamConvert()
        await session.write(pb.StreamConvertRequest(items=pb.StreamItems(items=[pb.StreamItem(text="a")])))
        await session.read()
        code, message = await harness.refused(harness.stub.Convert(pb.ConvertRequest(text="a")))
        assert code is Code.RESOURCE_EXHAUSTED
        assert "its share is 1" in message
        session.cancel()
        await until_served(harness)
    assert "caller_share" in harness.log.reasons


async def until_served(harness: Harness) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                return await harness.stub.Convert(pb.ConvertRequest(text="a"))
            except grpc.aio.AioRpcError as error:
                assert error.code() is Code.RESOURCE_EXHAUSTED
            await asyncio.sleep(0.01)


async def test_bytes_of_a_caller_are_limited() -> None:
    async with guarded(callers=Callers(max_calls=9, bytes_per_s=50_000)) as harness:
        await harness.stub.Convert(pb.ConvertRequest(text="a" * 100_000))
        code, message = await harness.refused(harness.stub.Convert(pb.ConvertRequest(text="a")))
        assert code is Code.RESOURCE_EXHAUSTED
        assert "bytes per second" in message
        loop = asyncio.get_running_loop()
        started = loop.time()
        requests = [pb.StreamConvertRequest(items=pb.StreamItems(items=[pb.StreamItem(text="a")]))]
        assert (await harness.stub.StreamConvert(iter(requests)).read()).results[0].conversion.text == "A"
        assert loop.time() - started > 0.5  # a stream is slowed, not ended


async def test_call_without_a_message_ends() -> None:
    async with guarded(patience=Patience(request_s=0.1)) as harness:
        # A unary method called as a stream that never sends.
        call = harness.channel.stream_stream("/hanjaserve.v1.HanjaService/Convert")()
        code, message = await harness.refused(call.read())
        assert code is Code.DEADLINE_EXCEEDED
        assert "did not come within 0.1 s" in message
        assert harness.guard.waiting == 0


async def test_calls_without_a_message_are_few() -> None:
    async with guarded(patience=Patience(max_waiting=2)) as harness:
        silent = [harness.channel.stream_stream("/hanjaserve.v1.HanjaService/Convert")() for _ in range(2)]
        async with asyncio.timeout(10):
            while harness.guard.waiting < 2:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
        code, _ = await harness.refused(harness.stub.Convert(pb.ConvertRequest(text="a")))
        assert code is Code.RESOURCE_EXHAUSTED
        for call in silent:
            call.cancel()
        await until_served(harness)


async def test_caller_who_does_not_read_is_dropped_and_others_are_not() -> None:
    async with guarded(patience=Patience(reading_s=0.3)) as harness:
        call = harness.stub.StreamConvert()
        for _ in range(40):
            items = pb.StreamItems(items=[pb.StreamItem(text=BIG)])
            await call.write(pb.StreamConvertRequest(items=items))
        await call.done_writing()
        async with asyncio.timeout(10):
            while "slow_reader" not in harness.log.reasons:
                await harness.stub.Convert(pb.ConvertRequest(text="a"))
        received = 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for response in call:
                received += len(response.results)
        assert caught.value.code() is Code.RESOURCE_EXHAUSTED
        assert "has not read" in (caught.value.details() or "")
        assert received < 40


async def test_unknown_exception_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with guarded() as harness:
        with caplog.at_level(logging.ERROR):
            code, message = await harness.refused(harness.stub.Convert(pb.ConvertRequest(text="!!bug")))
        assert code is Code.INTERNAL
        assert "!!bug" not in message + caplog.text
    assert harness.log.calls == [("Convert", "INTERNAL")]
    assert harness.log.reasons == ["internal"]


async def test_callers_may_name_their_calls(caplog: pytest.LogCaptureFixture) -> None:
    async with guarded() as harness:
        for given, kept in (("order-17", True), ("수도".encode().hex() * 50, False), ("two words", False)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                request = pb.ConvertRequest(text="!long")
                await harness.stub.Convert(request, metadata=[("x-request-id", given)])
            assert (given in dict(caught.value.trailing_metadata())["hanjaserve-rpc-id"]) is kept


async def test_health_is_observed_too() -> None:
    async with guarded() as harness:
        health = health_pb2_grpc.HealthStub(harness.channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert harness.log.calls == [("Check", "NOT_FOUND")]


async def test_method_that_is_not_async_is_not_there() -> None:
    """It would run in a thread, beside the guard; the generated stand-ins of methods to come are such."""

    async def continuation(details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: None)

    class Details:
        method = "/hanjaserve.v1.HanjaService/Convert"

    assert await Guard(callers=Callers(max_calls=1)).intercept_service(continuation, Details()) is None


def test_reasons_are_words() -> None:
    assert reason_of(TextTooLong("x")) == "text_too_long"
    assert reason_of(Overloaded("x", reason="calls")) == "calls"
    assert reason_of(RuntimeFault("x")) == "runtime_fault"
    assert reason_of(ValueError("수도")) == "internal"
