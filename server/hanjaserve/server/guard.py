"""The guard in front of every method, whoever wrote it: identity, rights, shares, time limits, statuses.

    headers -> who is it? -> may it? -> is there room? -> message -> method -> answer or status -> observer

It stands at the listener as an interceptor and wraps each method that is registered, so that a service
added later is guarded as well (and shut, until `rights.py` knows it).

Every request is taken as a stream, unary ones too. That way the decision falls before the message is
read: strangers can't make the server receive, hold or parse anything. It is also the one place that
turns errors into statuses: ours by the table in `status.py`, all others into a constant message, because
gRPC would send the exception's own, which may quote the user's text.
"""

import asyncio
import inspect
import itertools
import logging
import re
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from hanjaserve.server import status
from hanjaserve.server.callers import Callers
from hanjaserve.server.errors import (
    DeadlineExpired,
    Forbidden,
    HanjaserveError,
    InvalidText,
    Overloaded,
    Unauthenticated,
)
from hanjaserve.server.observer import Blind, Observer
from hanjaserve.server.patience import Patience, PatientContext
from hanjaserve.server.rights import WITHOUT_TOKENS, Open, need_of
from hanjaserve.server.timing import CALL_ID, CALLER, CURRENT, FLOW
from hanjaserve.server.tokens import Caller, TokenFile

logger = logging.getLogger(__name__)

# Callers may name their calls; anything else in the header is ignored, so that no text gets into the log.
GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
BEARER = "bearer "
PROBES_PER_ADDRESS = 64
"""Calls that need no identity (health), under way from one address."""


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method of a server."""

    def __init__(
        self,
        *,
        callers: Callers,
        tokens: TokenFile | None = None,
        patience: Patience | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self.waiting = 0
        self._callers = callers
        self._strangers = Callers(max_calls=PROBES_PER_ADDRESS)
        self._tokens = tokens
        self._observer = observer or Blind()
        self._wrapped: dict[str, Any] = {}
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap the method once, and give the wrapped one out from then on."""
        path = handler_call_details.method
        if (known := self._wrapped.get(path)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or not _is_async(_behaviour_of(handler)):
            # UNIMPLEMENTED, by gRPC. What is not async is the generated stand-in of a method that is not
            # written yet; anything else would run in a thread, beside the guard.
            return None
        method = _Method(self, path, handler)
        wrap = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        parse = _none_if_malformed(handler.request_deserializer)
        serve = method.stream if handler.response_streaming else method.unary
        self._wrapped[path] = wrap(serve, parse, handler.response_serializer)
        return self._wrapped[path]

    @asynccontextmanager
    async def call(self, path: str, context: Any) -> AsyncIterator["Purse"]:
        """Run a call: let it in, turn its errors into a status, tell the observer how it ended."""
        started = time.perf_counter()
        headers = dict(context.invocation_metadata() or ())
        call_id = self._call_id(headers)
        CALL_ID.set(call_id)
        code = "CANCELLED"
        self._observer.call_began(path, headers)
        try:
            yield self._let_in(path, headers, context)
            code = "OK"
        except grpc.aio.AbortError:
            code = _name(context.code())
            raise
        except Exception as error:
            code = status.code_of(error).name
            reason = reason_of(error)
            self._observer.call_refused(reason)
            if not isinstance(error, HanjaserveError):
                _log_unknown(error, call_id)
            # No more than debug: strangers could fill the disk.
            fields = {"rpc_id": call_id, "method": path, "reason": reason, "peer": context.peer()}
            logger.debug("refused", extra={"fields": fields})
            await status.abort(context, error, call_id)
        finally:
            seconds = time.perf_counter() - started
            self._observer.call_ended(path, code, seconds, CURRENT.get())

    def _let_in(self, path: str, headers: dict[str, Any], context: Any) -> "Purse":
        need = need_of(path)
        if need is None:
            raise Forbidden(f"{path} is shut: nobody has said which right it needs (see rights.py)")
        if need is Open.ANYONE:
            return self._open_account(self._strangers, _address(context.peer()), context)
        caller = self._identify(headers, context)
        if need not in caller.rights and need is not Open.KNOWN:
            raise Forbidden(f"{caller.name} lacks the right {need}: use a token that has it")
        FLOW.set(_flow_of(caller.name, context.peer()))
        return self._open_account(self._callers, caller.name, context)

    def _open_account(self, callers: Callers, name: str, context: Any) -> "Purse":
        CALLER.set(name)
        callers.enter(name)
        # Not when the method returns: until then, an answer that nobody reads takes up memory.
        context.add_done_callback(lambda _: callers.leave(name))
        return Purse(callers, name)

    def _identify(self, headers: dict[str, Any], context: Any) -> Caller:
        if self._tokens is None:
            certified = context.auth_context().get("x509_common_name")
            name = certified[0].decode(errors="replace") if certified else _address(context.peer())
            return Caller(name=name, rights=WITHOUT_TOKENS)
        header = str(headers.get("authorization", ""))
        if header[: len(BEARER)].lower() != BEARER:
            raise Unauthenticated("send a token in the metadata: authorization: Bearer hjs_...")
        caller = self._tokens.find(header[len(BEARER) :].strip())
        if caller is None:
            raise Unauthenticated("the token is not known here: ask for a new one")
        return caller

    def _call_id(self, headers: dict[str, Any]) -> str:
        given = headers.get("x-request-id", "")
        number = f"{self._prefix}-{next(self._numbers)}"
        return f"{number}/{given}" if isinstance(given, str) and GIVEN_ID.fullmatch(given) else number


class Purse:
    """What one caller may still send, during one call."""

    def __init__(self, callers: Callers, name: str) -> None:
        self._callers = callers
        self._name = name

    def charge(self, message: Any) -> None:
        """Take the price of the message of a unary call.

        Raises:
            Overloaded: The caller has sent too much lately.
        """
        if wait := self._callers.wait_for_bytes_s(self._name):
            raise Overloaded(
                f"this caller sends more bytes per second than its share: wait {wait:.3f} s",
                retry_after_s=wait,
                reason="caller_bytes",
            )
        self._callers.take_bytes(self._name, message.ByteSize())

    async def charge_slowly(self, message: Any) -> None:
        """Take the price of a message of a stream; who can't pay waits, and HTTP/2 holds back the rest."""
        if wait := self._callers.wait_for_bytes_s(self._name):
            await asyncio.sleep(wait)
        self._callers.take_bytes(self._name, message.ByteSize())


class _Method:
    """One method with its guard around it."""

    def __init__(self, guard: Guard, path: str, handler: Any) -> None:
        self._guard = guard
        self._path = path
        self._streams_requests = handler.request_streaming
        self._behaviour = _behaviour_of(handler)

    async def unary(self, requests: AsyncIterator[Any], context: Any) -> Any:
        """Serve a call with one response."""
        async with self._call(context) as purse:
            return await self._behaviour(await self._request(requests, context, purse), context)

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Serve a call with any number of responses."""
        async with self._call(context) as purse:
            patient = PatientContext(context, self._guard.patience.reading_s)
            outcome = self._behaviour(await self._request(requests, context, purse), patient)
            if inspect.isawaitable(outcome):
                await outcome
                return
            async with aclosing(outcome) as responses:
                async for response in responses:
                    await patient.write(response)

    def _call(self, context: Any) -> AbstractAsyncContextManager[Purse]:
        return self._guard.call(self._path, context)

    async def _request(self, requests: AsyncIterator[Any], context: Any, purse: Purse) -> Any:
        if self._streams_requests:
            return _metered(requests, purse)
        message = _parsed(await self._only(context))
        purse.charge(message)
        return message

    async def _only(self, context: Any) -> Any:
        """The message of a unary call; None if there is none, or it is malformed."""
        patience = self._guard.patience
        if self._guard.waiting >= patience.max_waiting:
            raise Overloaded(f"{patience.max_waiting} calls wait for their message", reason="waiting")
        self._guard.waiting += 1
        try:
            async with asyncio.timeout(patience.request_s):
                message = await context.read()  # for one message half as dear as iterating
                return None if message is grpc.aio.EOF else message
        except TimeoutError:
            raise DeadlineExpired(
                f"the message did not come within {patience.request_s:g} s of the call"
            ) from None
        finally:
            self._guard.waiting -= 1


def reason_of(error: Exception) -> str:
    """Why a call failed, in one word: a label for the metrics."""
    if isinstance(error, Overloaded):
        return error.reason
    name = type(error).__name__ if isinstance(error, HanjaserveError) else "internal"
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


async def _metered(requests: AsyncIterator[Any], purse: Purse) -> AsyncIterator[Any]:
    async for message in requests:
        await purse.charge_slowly(_parsed(message))
        yield message


def _parsed(message: Any) -> Any:
    if message is None:
        raise InvalidText("the message is not valid protobuf, or a text in it is not valid UTF-8: send UTF-8")
    return message


def _none_if_malformed(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """By default gRPC answers INTERNAL to a message that does not parse, as if it were our fault."""
    if parse is None:
        return None

    def parse_or_none(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return None

    return parse_or_none


def _behaviour_of(handler: Any) -> Callable[..., Any]:
    behaviour: Callable[..., Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return behaviour


def _is_async(behaviour: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour)


def _address(peer: str) -> str:
    """The host of a gRPC peer such as `ipv4:192.0.2.1:4711`, without the port."""
    return peer.rpartition(":")[0] or peer


def _flow_of(name: str, peer: str) -> str:
    """A caller's name; for one that has only its address, which many may share, its connection."""
    return peer if name == _address(peer) else name


def _name(code: Any) -> str:
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"


def _log_unknown(error: Exception, call_id: str) -> None:
    """Log where an unknown exception came from, without its message."""
    frames = traceback.format_tb(error.__traceback__)
    fields = {"rpc_id": call_id, "error": type(error).__qualname__, "traceback": "".join(frames)}
    logger.error("unknown exception", extra={"fields": fields})
