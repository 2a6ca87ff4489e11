import argparse
from dataclasses import FrozenInstanceError, fields

import pytest

from hanjaserve.server.config import ServerConfig, add_arguments, from_namespace
from hanjaserve.server.errors import ConfigError


def parsed(*flags: str, **env: str) -> ServerConfig:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_namespace(parser.parse_args(flags), env)


def test_defaults() -> None:
    config = parsed()
    assert config == ServerConfig()
    assert (config.host, config.port, config.runner) == ("127.0.0.1", 50051, "auto")
    assert config.bundle_path is None


def test_flags_win_over_variables_over_defaults() -> None:
    assert parsed(HANJASERVE_PORT="1").port == 1
    assert parsed("--port", "2", HANJASERVE_PORT="1").port == 2
    assert parsed("--bundle", "x").bundle_path is not None


def test_every_field_is_a_flag_and_a_variable() -> None:
    for option in fields(ServerConfig):
        value = str(option.default)
        flag = "--" + option.name.replace("_", "-")
        assert getattr(parsed(flag, value), option.name) == option.default
        assert getattr(parsed(**{f"HANJASERVE_{option.name.upper()}": value}), option.name) == (
            option.default
        )


def test_help_renders() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    assert "--max-queue-tokens" in text
    assert "HANJASERVE_GRACE_S" in text


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ServerConfig().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "abc"], ["--port", "'abc'", "whole number"]),
        (["--port", "65536"], ["port", "65536", "0 to 65535"]),
        (["--port", "-1"], ["-1"]),
        (["--grace-s", "nan"], ["grace_s", "nan"]),
        (["--grace-s", "soon"], ["--grace-s", "a number"]),
        (["--runner", "abacus"], ["runner", "abacus", "openvino"]),
        (["--log-level", "loud"], ["log_level", "debug"]),
        (["--host", ""], ["host"]),
        (["--max-batch-items", "0"], ["max_batch_items", "0", "1"]),
        (["--max-queue-tokens", "100"], ["max_queue_tokens", "100", "2000000"]),
    ],
)
def test_bad_values_say_what_and_what_to_use(flags: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(*flags)
    assert all(word in str(caught.value) for word in words)


def test_variable_is_named_in_the_message() -> None:
    with pytest.raises(ConfigError, match="HANJASERVE_THREADS is 'many'"):
        parsed(HANJASERVE_THREADS="many")


def test_frontend_keeps_to_its_part_of_what_all_may_take() -> None:
    whole = ServerConfig(frontends=4, max_concurrent_rpcs=10, caller_calls_per_s=2.0)
    part = whole.for_frontend(4711)
    assert (part.port, part.max_concurrent_rpcs, part.caller_calls_per_s) == (4711, 3, 0.5)
    assert part.max_live_total_code_points == whole.max_live_total_code_points / 4
    assert part.max_queue_tokens == whole.max_queue_tokens, "the queue is in the engine, and there is one"
