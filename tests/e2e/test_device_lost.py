"""A sticky CUDA error: callers hear UNAVAILABLE, and the process ends with a code of its own."""

from pathlib import Path

import grpc
import pytest

from hanjaserve.server.app import DEVICE_LOST
from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import stub_for
from .losing_gpu import SKULL
from .process import ServerProcess


def test_lost_gpu_ends_the_process(tiny_bundle: Path) -> None:
    with ServerProcess(tiny_bundle, module="tests.e2e.losing_gpu") as server:
        with grpc.insecure_channel(server.address) as channel:
            stub = stub_for(channel)
            assert stub.Convert(pb.ConvertRequest(text="수도"), timeout=20).conversion.text == "首都"
            with pytest.raises(grpc.RpcError) as caught:
                stub.Convert(pb.ConvertRequest(text=f"수도 {SKULL}"), timeout=20)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert server.wait() == DEVICE_LOST == 71
    assert any("device_lost" in line for line in server.log)
