"""Single calls over HTTP, by the Connect protocol.

https://connectrpc.com/docs/protocol/

    POST /hanjaserve.v1.HanjaService/Convert
    Content-Type: application/proto

Unary, in protobuf, of the methods that a page needs. The content type is one that a browser lets no page of
another site send without asking first, and nobody answers that.
"""

import json

import grpc
from aiohttp import web

from hanjaserve.client.errors import ConvertError
from hanjaserve.web.live import MAX_MESSAGE_BYTES
from hanjaserve.web.upstream import SERVICE, Upstream

CONTENT_TYPE = "application/proto"
METHODS = ("Convert", "BatchConvert", "GetServerInfo")
TIMEOUT_S = 30.0
PATH = f"/{SERVICE}/{{method:{'|'.join(METHODS)}}}"

# https://connectrpc.com/docs/protocol/#error-codes; what is not here is a fault of the server: 500.
_HTTP = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}


class CallBridge:
    """Passes single calls on."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def handle(self, request: web.Request) -> web.Response:
        """Serve one call."""
        if request.content_type != CONTENT_TYPE:
            return web.Response(status=415, headers={"Accept-Post": CONTENT_TYPE})
        method = request.match_info["method"]
        try:
            body = await request.read()
            answer = await self._upstream.call(method, body, _timeout_s(request))
        except web.HTTPRequestEntityTooLarge:
            message = f"the message is larger than {MAX_MESSAGE_BYTES} bytes: send less at once"
            return _failed(ConvertError(message, code=grpc.StatusCode.RESOURCE_EXHAUSTED))
        except ConvertError as error:
            return _failed(error)
        return web.Response(body=answer, content_type=CONTENT_TYPE)


def _timeout_s(request: web.Request) -> float:
    given = request.headers.get("Connect-Timeout-Ms", "")
    return min(int(given) / 1000, TIMEOUT_S) if given.isascii() and given.isdigit() else TIMEOUT_S


def _failed(error: ConvertError) -> web.Response:
    # Connect spells it with one l.
    code = error.code.name.lower().replace("cancelled", "canceled")
    body = json.dumps({"code": code, "message": error.message}, ensure_ascii=False)
    return web.Response(status=_HTTP.get(error.code, 500), text=body, content_type="application/json")
