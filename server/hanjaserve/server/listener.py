"""The gRPC server around the service: port, TLS, limits of connections, health, reflection.

Health is grpc.health.v1, for "" and for the service by name: NOT_SERVING while the model loads and
while the server drains.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from hanjaserve.kserve.inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.guard import Guard
from hanjaserve.server.kserve import service as kserve
from hanjaserve.server.kserve.service import InferenceService
from hanjaserve.server.service import HanjaService
from hanjaserve.server.tls import Certificates
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.v1.hanjaserve_pb2_grpc import add_HanjaServiceServicer_to_server

HEALTH_S = 2.0
MAX_PENDING = 20_000
SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["HanjaService"].full_name


class Listener:
    """A listening gRPC server. Use it as an async context manager.

    Attributes:
        port: The port it listens on, which `--port 0` leaves to the system.

    Raises:
        ConfigError: The address cannot be listened on.
    """

    def __init__(
        self,
        config: ServerConfig,
        service: HanjaService,
        guard: Guard,
        certificates: Certificates | None = None,
    ) -> None:
        self.port = config.port
        self._config = config
        self._certificates = certificates
        self._health = health.aio.HealthServicer()
        self._one_at_a_time = asyncio.Lock()
        self._server = grpc.aio.server(interceptors=(guard,), options=_options(config))
        methods = _Generic(self._server)
        add_HanjaServiceServicer_to_server(service, methods)  # type: ignore[no-untyped-call]
        add_GRPCInferenceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            InferenceService(config, service), methods
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, methods)
        names = (SERVICE_NAME, kserve.SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        add_ServerReflectionServicer_to_server(reflection.aio.ReflectionServicer(names), methods)

    async def __aenter__(self) -> "Listener":
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        config = self._config
        if not config.frontends:  # else the supervisor has looked, and holds the port for all of them
            check_bindable(config.host, config.port)
        host = f"[{config.host}]" if ":" in config.host else config.host
        address = f"{host}:{config.port}"
        try:
            self.port = (
                self._server.add_secure_port(address, self._certificates.server_credentials())
                if self._certificates
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise ConfigError(_unusable(config.host, config.port, str(error))) from None
        await self._server.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(0)

    async def set_serving(self) -> None:
        """Report SERVING from now on."""
        await self._set(health_pb2.HealthCheckResponse.SERVING)

    async def pause(self) -> None:
        """Report NOT_SERVING until `set_serving`."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def set_not_serving(self) -> None:
        """Report NOT_SERVING for the rest of the server's life."""
        async with self._one_at_a_time:
            await _briefly(self._health.enter_graceful_shutdown())

    def hang_up(self) -> None:
        """Stop listening, and close all connections: calls that are on their way are UNAVAILABLE then.

        From `stop` on gRPC answers CANCELLED to a call that arrives before its caller has read the GOAWAY,
        which looks like the caller's own doing and is not tried again. So this is done under its feet.
        """
        for listening in (True, False):
            for one in _sockets(self.port, listening=listening):
                with one, suppress(OSError):  # the caller was quicker
                    one.shutdown(socket.SHUT_RDWR)

    async def stop(self, grace_s: float) -> None:
        """Send GOAWAY, stop listening, and cancel the calls that remain after `grace_s`."""
        await self._server.stop(grace_s)

    async def _set(self, status: int) -> None:
        async with self._one_at_a_time:
            for name in ("", SERVICE_NAME):
                await _briefly(self._health.set(name, status))


class _Generic:
    """Takes methods for a server as generic ones, which it looks up by name when a call comes.

    Registered ones it waits for one by one: for every call it sets up and takes down a wait for each of them,
    which costs more than all of our own bookkeeping.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Leave it at the generic ones, which the generated code adds as well."""


def _sockets(port: int, *, listening: bool) -> Iterator[socket.socket]:
    """Duplicates, to be closed, of this process's sockets on a port: those that listen, or connections."""
    for name in os.listdir("/dev/fd"):
        try:
            descriptor = os.dup(int(name))
        except OSError:  # closed meanwhile, or there is none left
            continue
        try:
            found = socket.socket(fileno=descriptor)
        except OSError:  # no socket
            os.close(descriptor)
            continue
        here = found.getsockname()
        if found.family in (socket.AF_INET, socket.AF_INET6) and here[1] == port:
            if bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) == listening:
                yield found
                continue
        found.close()


async def _briefly(change: Coroutine[None, None, None]) -> None:
    """Change the health; a watcher that does not read holds its lock, so do not wait for it for long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(change, HEALTH_S)


def check_bindable(host: str, port: int, *, flag: str = "--port") -> None:
    """Raise ConfigError if nothing can listen there; says why better than gRPC does, and which flag helps."""
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
            raise ConfigError(_unusable(host, port, reason, flag)) from None


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Hold a port for front-ends that share it; yields which one it is, if `port` is 0.

    Nothing listens on it by this. But no other server can take it, not even while no front-end is there.

    Raises:
        ConfigError: The address can't be listened on.
    """
    check_bindable(host, port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind(address)
        except OSError as error:
            raise ConfigError(_unusable(host, port, str(error.strerror))) from None
        yield holder.getsockname()[1]


def _unusable(host: str, port: int, reason: str, flag: str = "--port") -> str:
    free = " (0 picks a free one)" if flag == "--port" else ""
    return (
        f"cannot listen on port {port} of {host}: {reason}; stop what listens there or choose "
        f"another with {flag}{free}"
    )


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    options = {
        "grpc.max_receive_message_length": config.max_message_bytes,
        # Responses are checked by the service, which can say what to do about it.
        "grpc.max_send_message_length": -1,
        # Two servers on one port by mistake would share the calls in silence; front-ends are meant to.
        "grpc.so_reuseport": int(config.frontends > 0),
        "grpc.max_concurrent_streams": config.max_concurrent_rpcs,
        # Calls that Python has not looked at yet. Beyond, gRPC cancels them at random, honest ones too.
        "grpc.server.max_pending_requests": MAX_PENDING,
        "grpc.server.max_pending_requests_hard_limit": 2 * MAX_PENDING,
        "grpc.max_allowed_incoming_connections": config.max_connections,
        # Headers up to the soft limit pass; gRPC refuses a growing part of those between the two.
        "grpc.max_metadata_size": config.max_metadata_bytes,
        "grpc.absolute_max_metadata_size": config.max_metadata_bytes,
        # TLS, the client's preface and its settings must be there by then.
        "grpc.server_handshake_timeout_ms": int(1000 * config.handshake_s),
        # A peer that has not acknowledged our settings isn't bound by them: 16 MB of headers per call.
        "grpc.http2.settings_timeout": int(1000 * config.handshake_s),
        # Find dead peers; a third of the time is what an answer may take. Clients may ping every 10 s.
        "grpc.keepalive_time_ms": int(1000 * config.keepalive_s),
        "grpc.keepalive_timeout_ms": int(1000 * config.keepalive_s / 3),
        "grpc.http2.ping_timeout_ms": int(1000 * config.keepalive_s / 3),
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": 10_000,
        "grpc.http2.max_ping_strikes": 3,
    }
    if config.max_connection_age_s:
        # New connections take new certificates and find new servers; calls under way may finish.
        options["grpc.max_connection_age_ms"] = int(1000 * config.max_connection_age_s)
        options["grpc.max_connection_age_grace_ms"] = int(1000 * config.max_connection_age_s)
    if config.max_connection_idle_s:
        options["grpc.max_connection_idle_ms"] = int(1000 * config.max_connection_idle_s)
    return list(options.items())
