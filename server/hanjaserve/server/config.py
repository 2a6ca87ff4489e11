"""The server's options: one frozen dataclass; flags win over HANJASERVE_* variables over defaults.

Every field of `ServerConfig` is a flag (`max_batch_tokens` -> `--max-batch-tokens`) and a variable
(`HANJASERVE_MAX_BATCH_TOKENS`). Nothing here opens, checks or imports what an option names.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hanjaserve.server.errors import ConfigError

PREFIX = "HANJASERVE_"
RUNNERS = ("auto", "tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime", "openvino")
SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
TRACES_FROM_ENV = "env"
# Limits of the whole server. The queue is not among them: there is one, in the engine process.
SHARED_COUNTS = ("max_connections", "max_concurrent_rpcs", "max_live_total_code_points")
SHARED_RATES = ("caller_calls_per_s", "caller_bytes_per_s")
LOG_LEVELS = ("debug", "info", "warning", "error")


def _option(default: object, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """How to serve. Units are in the names; the texts of the flags say what each field means.

    Raises:
        ConfigError: A value is out of range; the message says which, and what is allowed.
    """

    host: str = _option("127.0.0.1", "address to listen on; 0.0.0.0 or :: for all")
    port: int = _option(50051, "port to listen on; 0 picks a free one and prints it")
    bundle: str = _option("", "model bundle (a directory); empty for the one that comes along")
    runner: str = _option("auto", f"what computes: {', '.join(RUNNERS)}")
    frontends: int = _option(0, "front-end processes that share the port; 0 to serve in one process")
    threads: int = _option(0, "batches that a CPU computes at a time, a thread each; 0 for one per core")
    max_batch_tokens: int = _option(0, "tokens in one batch, padding included; 0: 512, on a GPU 8192")
    gpu_lanes: int = _option(2, "batches under way on a GPU at a time")
    gpu_buckets: str = _option("", "row lengths that a GPU computes, as 32,64,128; empty for the usual ones")
    plan_cache: str = _option("", "folder for compiled plans; empty for ~/.cache/hanjaserve/plans")
    max_queue_tokens: int = _option(4_000_000, "tokens that may wait before calls are refused")
    max_text_code_points: int = _option(1_000_000, "longest text, in code points")
    max_batch_items: int = _option(1024, "most texts in one BatchConvert or stream message")
    max_message_bytes: int = _option(16 * 2**20, "largest message, either way")
    max_stream_in_flight: int = _option(1024, "most items of one stream under way at a time")
    max_concurrent_rpcs: int = _option(1024, "most calls at a time; more are refused")
    max_inline_glossary_entries: int = _option(1_000, "most words of a glossary that comes with a call")
    max_glossary_entries: int = _option(20_000, "most words of a stored glossary")
    max_glossaries: int = _option(256, "most stored glossaries")
    max_live_code_points: int = _option(1_000_000, "longest document of LiveConvert")
    max_live_total_code_points: int = _option(64_000_000, "all live documents together, and 32 per segment")
    max_live_edits_per_s: int = _option(200, "edits of one live session; a faster one is read more slowly")
    max_live_interim_per_s: int = _option(50, "conversions per second of what is being typed in a session")
    grace_s: float = _option(30.0, "seconds that calls under way get to finish on SIGTERM")
    tls_cert: str = _option("", "PEM certificate of the server; read again when it changes")
    tls_key: str = _option("", "PEM key of the certificate, without a passphrase")
    tls_client_ca: str = _option("", "PEM authorities; callers need a certificate of one (mutual TLS)")
    tokens: str = _option("", "file of token hashes (see `hanjaserve token`); callers need a token")
    allow_plaintext: bool = _option(False, "listen without TLS on an address that others can reach")
    max_connections: int = _option(1024, "most connections at a time; more are closed")
    max_connection_age_s: float = _option(0.0, "seconds until a connection is renewed; 0 for never")
    max_connection_idle_s: float = _option(900.0, "seconds until an idle connection is closed; 0 for never")
    keepalive_s: float = _option(60.0, "seconds after which a silent peer is asked whether it lives")
    max_metadata_bytes: int = _option(16384, "largest header of a call")
    handshake_s: float = _option(10.0, "seconds that a new connection gets to introduce itself")
    request_s: float = _option(20.0, "seconds that the message of a call may take to arrive")
    reading_s: float = _option(60.0, "seconds that a caller of a stream may go without reading")
    caller_share: float = _option(1.0, "part of max_concurrent_rpcs that one caller may have, 0 to 1")
    caller_calls_per_s: float = _option(0.0, "calls per second of one caller; 0 for no limit")
    caller_bytes_per_s: float = _option(0.0, "request bytes per second of one caller; 0 for no limit")
    runner_patience_s: float = _option(30.0, "seconds after which a batch that runs is taken to hang")
    runner_check_s: float = _option(5.0, "seconds between checks that a busy runner still computes rightly")
    metrics_port: int = _option(0, "port for Prometheus (http, /metrics); 0 for none")
    metrics_host: str = _option("127.0.0.1", "address of the metrics port; holds no text of callers")
    traces: str = _option(
        "",
        f"collector (OTLP over gRPC) to send traces to, as http://HOST:PORT; {TRACES_FROM_ENV} for what the "
        "OTEL_* variables say; empty for none",
    )
    log_level: str = _option("info", f"{', '.join(LOG_LEVELS)}; debug logs every call")

    def __post_init__(self) -> None:
        self._within("port", 0, 65535)
        self._within("frontends", 0, 64)
        self._within("threads", 0, 1024)
        self._within("max_batch_tokens", 0, 2**24)
        self._within("gpu_lanes", 1, 8)
        self._within("max_text_code_points", 1, 2**30)
        self._within("max_batch_items", 1, 2**20)
        self._within("max_message_bytes", 1024, 2**31 - 1)
        self._within("max_stream_in_flight", 1, 2**20)
        self._within("max_concurrent_rpcs", 1, 2**20)
        self._within("max_inline_glossary_entries", 0, 2**20)
        self._within("max_glossary_entries", 0, 2**20)
        self._within("max_glossaries", 0, 2**20)
        self._within("max_live_code_points", 1, 2**27)
        self._within("max_live_total_code_points", 1, 2**40)
        self._within("max_live_edits_per_s", 1, 2**20)
        self._within("max_live_interim_per_s", 1, 2**20)
        self._within("grace_s", 0, 86_400)
        self._within("runner_patience_s", 0.1, 86_400)
        self._within("runner_check_s", 0, 86_400)
        self._within("metrics_port", 0, 65535)
        self._within("max_connections", 1, 2**20)
        self._within("max_connection_age_s", 0, 31_536_000)
        self._within("max_connection_idle_s", 0, 31_536_000)
        self._within("max_metadata_bytes", 1024, 2**20)
        self._within("keepalive_s", 1, 86_400)
        self._within("handshake_s", 0.1, 3600)
        self._within("request_s", 0.1, 86_400)
        self._within("reading_s", 0.1, 86_400)
        self._within("caller_share", 0.001, 1)
        self._within("caller_calls_per_s", 0, 1e9)
        self._within("caller_bytes_per_s", 0, 1e12)
        self._one_of("runner", RUNNERS)
        self._one_of("log_level", LOG_LEVELS)
        if self.frontends and sys.platform != "linux":
            raise ConfigError("frontends needs Linux, whose kernel shares a port out: leave it away")
        if not self.host:
            raise ConfigError("host is empty: use 127.0.0.1, or 0.0.0.0 for every interface")
        if self.traces not in ("", TRACES_FROM_ENV) and not self.traces.startswith(("http://", "https://")):
            raise ConfigError(f"traces is {self.traces!r}: use http://HOST:PORT or {TRACES_FROM_ENV}")
        if bool(self.tls_cert) != bool(self.tls_key):
            given, missing = ("cert", "key") if self.tls_cert else ("key", "cert")
            raise ConfigError(f"tls_{given} is set and tls_{missing} is not: give both, or neither")
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigError("tls_client_ca needs tls_cert and tls_key: give them as well")
        # The longest text must fit, with the context that its windows repeat.
        least = 2 * self.max_text_code_points
        if self.max_queue_tokens < least:
            raise ConfigError(
                f"max_queue_tokens is {self.max_queue_tokens}, too few for one text of "
                f"max_text_code_points = {self.max_text_code_points}: use at least {least}"
            )

    @property
    def bundle_path(self) -> Path | None:
        """Where the bundle is, or None for the default one."""
        return Path(self.bundle) if self.bundle else None

    @property
    def max_calls_of_a_caller(self) -> int:
        """What `caller_share` comes to."""
        return max(1, round(self.caller_share * self.max_concurrent_rpcs))

    def for_frontend(self, port: int) -> "ServerConfig":
        """What one of the front-ends keeps to: the shared port, and its part of the limits of all."""
        parts = {name: -(-getattr(self, name) // self.frontends) for name in SHARED_COUNTS}
        rates = {name: getattr(self, name) / self.frontends for name in SHARED_RATES}
        return replace(self, port=port, **parts, **rates)

    def _within(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and least <= value <= most):
            raise ConfigError(f"{name} is {value}: use a number from {least} to {most}")

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise ConfigError(f"{name} is {value!r}: use one of {', '.join(choices)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one flag per field; absent flags stay out of the namespace."""
    for option in fields(ServerConfig):
        flag = "--" + option.name.replace("_", "-")
        variable = PREFIX + option.name.upper()
        default = "" if option.default == "" else f"; default {_shown(option.default)}"
        parser.add_argument(
            flag,
            default=argparse.SUPPRESS,
            metavar="YES|NO" if option.type is bool else str(getattr(option.type, "__name__", "")).upper(),
            help=f"{option.metadata['help']}{default} [{variable}]".replace("%", "%%"),
        )


def from_namespace(namespace: argparse.Namespace, env: Mapping[str, str]) -> ServerConfig:
    """Build the configuration: flags win over variables, and those over defaults.

    Args:
        namespace: What a parser with `add_arguments` returned; other attributes are ignored.
        env: Such as `os.environ`.

    Raises:
        ConfigError: A value cannot be read or is out of range.
    """
    given: dict[str, Any] = {}
    for option in fields(ServerConfig):
        variable = PREFIX + option.name.upper()
        if hasattr(namespace, option.name):
            source, text = "--" + option.name.replace("_", "-"), getattr(namespace, option.name)
        elif variable in env:
            source, text = variable, env[variable]
        else:
            continue
        given[option.name] = _parsed(text, type(option.default), source)
    return ServerConfig(**given)


def _shown(default: object) -> str:
    return ("yes" if default else "no") if isinstance(default, bool) else str(default)


def _parsed(text: str, kind: type, source: str) -> object:
    """Read a value; underscores as in 1_000_000 are fine."""
    if kind is bool:
        if text.lower() not in SWITCH:
            raise ConfigError(f"{source} is {text!r}: use yes or no")
        return SWITCH[text.lower()]
    try:
        return kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{source} is {text!r}: use {noun}") from None
