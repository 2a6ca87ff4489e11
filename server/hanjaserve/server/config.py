"""The server's options: one frozen dataclass; flags win over HANJASERVE_* variables over defaults.

Every field of `ServerConfig` is a flag (`max_batch_tokens` -> `--max-batch-tokens`) and a variable
(`HANJASERVE_MAX_BATCH_TOKENS`). Nothing here opens, checks or imports what an option names.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hanjaserve.server.errors import ConfigError

PREFIX = "HANJASERVE_"
RUNNERS = ("auto", "openvino", "onnxruntime")
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
    threads: int = _option(0, "CPU threads of the runner; 0 for one per core")
    max_batch_tokens: int = _option(1024, "tokens in one batch, padding included; 8192 suits a GPU")
    max_queue_tokens: int = _option(4_000_000, "tokens that may wait before calls are refused")
    max_text_code_points: int = _option(1_000_000, "longest text, in code points")
    max_batch_items: int = _option(1024, "most texts in one BatchConvert or stream message")
    max_message_bytes: int = _option(16 * 2**20, "largest message, either way")
    max_stream_in_flight: int = _option(1024, "most items of one stream under way at a time")
    max_concurrent_rpcs: int = _option(1024, "most calls at a time; more are refused")
    grace_s: float = _option(30.0, "seconds that calls under way get to finish on SIGTERM")
    log_level: str = _option("info", f"{', '.join(LOG_LEVELS)}; debug logs every call")

    def __post_init__(self) -> None:
        self._within("port", 0, 65535)
        self._within("threads", 0, 1024)
        self._within("max_batch_tokens", 8, 2**24)
        self._within("max_text_code_points", 1, 2**30)
        self._within("max_batch_items", 1, 2**20)
        self._within("max_message_bytes", 1024, 2**31 - 1)
        self._within("max_stream_in_flight", 1, 2**20)
        self._within("max_concurrent_rpcs", 1, 2**20)
        self._within("grace_s", 0, 86_400)
        self._one_of("runner", RUNNERS)
        self._one_of("log_level", LOG_LEVELS)
        if not self.host:
            raise ConfigError("host is empty: use 127.0.0.1, or 0.0.0.0 for every interface")
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
        default = "" if option.default == "" else f"; default {option.default}"
        parser.add_argument(
            flag,
            default=argparse.SUPPRESS,
            metavar=str(getattr(option.type, "__name__", option.type)).upper(),
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


def _parsed(text: str, kind: type, source: str) -> object:
    """Read a value; underscores as in 1_000_000 are fine."""
    try:
        return kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{source} is {text!r}: use {noun}") from None
