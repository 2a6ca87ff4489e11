from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from hanjaserve.v1.hanjaserve_pb2_grpc import HanjaServiceStub

from .process import ServerProcess


def stub_for(channel: grpc.Channel) -> Any:
    return HanjaServiceStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """One server for all tests that only talk to it."""
    with ServerProcess(tiny_bundle) as running:
        yield running


@pytest.fixture(scope="session")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(
        server.address, options=[("grpc.max_receive_message_length", 64 * 2**20)]
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def stub(channel: grpc.Channel) -> Any:
    return stub_for(channel)
