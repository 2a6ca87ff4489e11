"""The gRPC server around the service: port, options, health, reflection, malformed messages.

Health is grpc.health.v1, for "" and for the service by name: NOT_SERVING while the model loads and
while the server drains.
"""

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.service import HanjaService
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import add_HanjaServiceServicer_to_server

SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["HanjaService"].full_name


class Listener:
    """A listening gRPC server. Use it as an async context manager.

    Attributes:
        port: The port it listens on, which `--port 0` leaves to the system.

    Raises:
        ConfigError: The address cannot be listened on.
    """

    def __init__(self, config: ServerConfig, service: HanjaService) -> None:
        self.port = config.port
        self._config = config
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(interceptors=(MalformedToNone(),), options=_options(config))
        add_HanjaServiceServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def __aenter__(self) -> "Listener":
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        config = self._config
        check_bindable(config.host, config.port)
        host = f"[{config.host}]" if ":" in config.host else config.host
        try:
            self.port = self._server.add_insecure_port(f"{host}:{config.port}")
        except RuntimeError as error:
            raise ConfigError(_unusable(config.host, config.port, str(error))) from None
        await self._server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(0)

    async def set_serving(self) -> None:
        """Report SERVING from now on."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def set_not_serving(self) -> None:
        """Report NOT_SERVING for the rest of the server's life."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Send GOAWAY, stop listening, and cancel the calls that remain after `grace_s`."""
        await self._server.stop(grace_s)

    async def _set(self, status: int) -> None:
        for name in ("", SERVICE_NAME):
            await self._health.set(name, status)


class MalformedToNone(grpc.aio.ServerInterceptor):
    """Lets methods see a message that does not parse as None.

    By default gRPC answers INTERNAL, as if it were the server's fault. The service raises instead,
    which makes it INVALID_ARGUMENT, counted and logged like every other bad request.
    """

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Wrap the parser of the method, if it has one."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        if not handler_call_details.method.startswith(f"/{SERVICE_NAME}/"):
            return handler
        return handler._replace(request_deserializer=_forgiving(handler.request_deserializer))


def _forgiving(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def parse_or_none(data: bytes) -> object:
        try:
            return parse(data)
        except DecodeError:
            return None

    return parse_or_none


def check_bindable(host: str, port: int) -> None:
    """Raise ConfigError if nothing can listen there; says why better than gRPC does."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(f"host {host!r} is unknown ({error.strerror}): use an address") from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
            raise ConfigError(_unusable(host, port, reason)) from None


def _unusable(host: str, port: int, reason: str) -> str:
    return (
        f"cannot listen on port {port} of {host}: {reason}; stop what listens there or choose "
        "another with --port (0 picks a free one)"
    )


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    options = {
        "grpc.max_receive_message_length": config.max_message_bytes,
        # Responses are checked by the service, which can say what to do about it.
        "grpc.max_send_message_length": -1,
        # Two servers on one port by mistake would share the calls in silence.
        "grpc.so_reuseport": 0,
        "grpc.max_concurrent_streams": config.max_concurrent_rpcs,
        # Find dead peers within a minute and a half; allow clients to ping every ten seconds.
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": 10_000,
        "grpc.http2.max_ping_strikes": 3,
    }
    return list(options.items())
