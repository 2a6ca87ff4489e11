import socket
from pathlib import Path

import pytest

from hanjaserve.cli import main as cli
from hanjaserve.cli.top import quantile, view
from hanjaserve.server.metrics import Facts, Metrics, exposed
from tests.server.test_metrics import free_port


def test_view_of_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(lambda: Facts(ready=True, model=("tiny", "abc", "syllable", "fake"), queued_tokens=77))
    port = free_port()
    with exposed(metrics, "127.0.0.1", port):
        url = f"http://127.0.0.1:{port}/metrics"
        assert cli.main(["top", "--once", "--interval", "0.1", "--url", url]) == 0
    text = capsys.readouterr().out
    assert "tiny abc on fake" in text
    assert "77 tokens" in text


def test_no_server(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/metrics"
        assert cli.main(["top", "--once", "--url", url, "--interval", "0.1"]) == 3
    assert "--metrics-port" in capsys.readouterr().err


def test_rates_and_quantiles_are_of_what_is_new() -> None:
    def reading(fast: int, slow: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        def bucket(bound: str) -> tuple[str, frozenset[tuple[str, str]]]:
            return ("hanjaserve_run_seconds_bucket", frozenset({("le", bound)}))

        requests = ("hanjaserve_requests_total", frozenset({("method", "m"), ("code", "OK")}))
        return {bucket("0.01"): fast, bucket("1.0"): fast + slow, bucket("+Inf"): fast + slow, requests: fast}

    before, now = reading(100, 0), reading(101, 99)
    assert quantile(before, now, "hanjaserve_run_seconds", 0.5) == 1.0
    assert quantile(before, before, "hanjaserve_run_seconds", 0.5) == 0.0
    assert "0.5 /s" in view(before, now, 2.0).splitlines()[1]
