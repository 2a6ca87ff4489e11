import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hanjaserve.server.entry import Entry
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.metrics import Facts, Metrics, exposed
from hanjaserve.server.observer import BatchReport
from hanjaserve.server.timing import Timing

METHOD = "/hanjaserve.v1.HanjaService/Convert"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def read(port: int) -> dict[tuple[str, ...], float]:
    """(name, label values in alphabetical order of the labels...) -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        text = page.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_happens_can_be_read() -> None:
    facts = Facts(
        ready=True,
        queued_entries=2,
        queued_tokens=100,
        tokens_per_s=50.0,
        model=("tiny", "abc", "syllable", "fake"),
        skipped=1,
    )
    metrics = Metrics(lambda: facts)
    metrics.call_began(METHOD, {})
    metrics.call_began(METHOD, {})
    metrics.call_ended(METHOD, "OK", 0.2, Timing(tokens=5, queue_us=1000, run_us=2000))
    metrics.call_refused("queue")
    entries = [Entry(tokens=tokens, enqueued_at=0.0) for tokens in (2, 3, 5)]
    report = BatchReport(
        runner="fake", revision="", entries=entries, outcomes=[], computed_tokens=24, seconds=0.01
    )
    metrics.batch_ended(report)
    metrics.runner_failed("hang")
    metrics.reloaded(ok=True)
    metrics.reloaded(ok=False)
    port = free_port()
    with exposed(metrics, "127.0.0.1", port):
        found = read(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as page:
            assert page.status == 200
        with pytest.raises(ConfigError, match=f"port {port}"), exposed(metrics, "127.0.0.1", port):
            pass
    assert found["hanjaserve_requests_total", "OK", METHOD] == 1
    assert found["hanjaserve_calls_in_progress", METHOD] == 1
    assert found["hanjaserve_request_seconds_sum", METHOD] == 0.2
    assert found["hanjaserve_queue_seconds_sum",] == pytest.approx(0.001)
    assert found["hanjaserve_rejected_total", "queue"] == 1
    assert found["hanjaserve_tokens_total",] == 10
    assert found["hanjaserve_computed_tokens_total",] == 24
    assert found["hanjaserve_batch_entries_sum",] == 3
    assert found["hanjaserve_runner_failures_total", "hang"] == 1
    assert found["hanjaserve_reloads_total", "failed"] == 1
    assert found["hanjaserve_ready",] == 1
    assert found["hanjaserve_queued_seconds",] == 2
    assert found["hanjaserve_ladder_steps",] == 1
    assert found["hanjaserve_model_info", "tiny", "abc", "fake", "syllable"] == 1
    assert found["process_open_fds",] > 0
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_not_ready_is_503() -> None:
    port = free_port()
    with exposed(Metrics(Facts), "127.0.0.1", port), pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5)
    assert caught.value.code == 503
    caught.value.close()
