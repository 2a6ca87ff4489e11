"""Channel settings that all clients share."""

import grpc

from hanjaserve.client.access import is_loopback
from hanjaserve.client.errors import Unavailable

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S = 30.0
# Parts of one batch under way at a time: enough to keep a server busy, few enough to be fair.
PARALLEL_BATCHES = 4


def channel_options(target: str) -> list[tuple[str, int]]:
    """The gRPC channel arguments.

    Keep-alive: a gRPC server with default settings hangs up on clients that ping more often than
    every five minutes while nothing is sent ("too_many_pings"), so pings stay rarer than that. A
    dead connection under a running call is noticed much sooner: with keep-alive on, gRPC sets
    TCP_USER_TIMEOUT to the ping timeout, and unacknowledged bytes end the connection.

    Reconnecting: gRPC waits 1 s after the first failed connection and fails calls meanwhile; a
    local server that just restarts is back sooner. `retry.py` has its own delays on top.

    Proxy: gRPC sends everything through $http_proxy unless $no_proxy says otherwise; a proxy cannot
    reach the loopback interface of this machine.
    """
    return [
        ("grpc.enable_http_proxy", 0 if is_loopback(target) else 1),
        ("grpc.keepalive_time_ms", 310_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # The server limits what it accepts and what it sends; the client does not guess.
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Two clients of one process must not share one connection and its fate.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def aio_channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A channel for an event loop; without credentials in plain text."""
    options = channel_options(target)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, credentials, options)


def not_ready(target: str) -> Unavailable:
    """The error for a server that answers but does not accept conversions."""
    return Unavailable(f"the server at {target} is starting or stopping")


def silent(target: str, timeout_s: float) -> Unavailable:
    """The error for a server that was asked whether it is ready and did not answer at all."""
    return Unavailable(f"the server at {target} did not answer within {timeout_s:g} s")
