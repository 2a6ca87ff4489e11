from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from hanjaserve.client import RetryPolicy
from hanjaserve.v1 import hanjaserve_pb2_grpc

from .fake_server import FakeService


@pytest.fixture
def fake() -> Iterator[FakeService]:
    service = FakeService()
    server = grpc.server(ThreadPoolExecutor(8))
    hanjaserve_pb2_grpc.add_HanjaServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    service.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()


@pytest.fixture
def quick() -> RetryPolicy:
    """Retries that do not make a test slow."""
    return RetryPolicy(initial_delay_s=0.01, max_delay_s=0.05)
