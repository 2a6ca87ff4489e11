"""A signal that strikes inside gRPC leaves a channel whose close() never returns."""

import threading
import time

import pytest

from hanjaserve.client import SyncClient, sync


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> SyncClient:
    client = SyncClient("127.0.0.1:1")
    channel, never = client._channel, threading.Event()
    monkeypatch.setattr(sync, "INTERRUPTED_CLOSE_S", 0.05)
    monkeypatch.setattr(client, "close", lambda: never.wait(20) and channel.close())
    return client


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_signal_ends_the_process_all_the_same(stuck: SyncClient, end: type[BaseException]) -> None:
    started = time.monotonic()
    with pytest.raises(end), stuck:
        raise end
    assert time.monotonic() - started < 10


def test_an_error_closes_the_channel_first(monkeypatch: pytest.MonkeyPatch) -> None:
    client, closed = SyncClient("127.0.0.1:1"), []
    close = client.close
    monkeypatch.setattr(client, "close", lambda: (closed.append(1), close()))
    with pytest.raises(ValueError, match="mine"), client:
        raise ValueError("mine")
    assert closed == [1]
