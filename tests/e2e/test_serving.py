from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .process import ServerProcess

TEXT = "대한민국의 수도는 서울이다."


def test_banner_tells_model_runner_address_and_an_example(server: ServerProcess) -> None:
    text = "\n".join(server.banner)
    assert all(word in text for word in ("model", "runner", server.address, "hanjaserve convert"))


def test_health_is_serving(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "hanjaserve.v1.HanjaService"):
        response = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    names = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"hanjaserve.v1.HanjaService", "grpc.health.v1.Health"} <= set(names)


def test_info(stub: Any) -> None:
    info = stub.GetServerInfo(pb.GetServerInfoRequest())
    assert info.ready
    assert info.scheme == "syllable"
    assert info.model_revision
    assert "modern" in info.styles
    assert info.limits.max_text_code_points == 1_000_000


def test_one_by_one_batched_and_streamed_agree(stub: Any) -> None:
    texts = ["", "a", TEXT, TEXT * 3, "서울", TEXT * 200, "\0", "🙂 " + TEXT]
    single = [stub.Convert(pb.ConvertRequest(text=text)).conversion for text in texts]
    batch = stub.BatchConvert(pb.BatchConvertRequest(texts=texts))
    items = [pb.StreamItem(id=i, text=text) for i, text in enumerate(texts)]
    request = pb.StreamConvertRequest(items=pb.StreamItems(items=items))
    streamed = [r for m in stub.StreamConvert(iter([request])) for r in m.results]
    assert [r.conversion for r in batch.results] == single
    assert [r.conversion for r in streamed] == single
    assert [len(c.text) for c in single] == [len(text) for text in texts]


def test_stream_of_1000_items_keeps_order(stub: Any) -> None:
    texts = [f"{i} {TEXT[: i % 17]}" for i in range(1000)]

    def requests() -> Any:
        yield pb.StreamConvertRequest(config=pb.StreamConfig(options=pb.ConvertOptions()))
        for start in range(0, 1000, 7):
            items = [pb.StreamItem(id=10_000 + i, text=texts[i]) for i in range(start, min(start + 7, 1000))]
            yield pb.StreamConvertRequest(items=pb.StreamItems(items=items))

    results = [r for message in stub.StreamConvert(requests()) for r in message.results]
    assert [r.id for r in results] == [10_000 + i for i in range(1000)]
    for text, result in zip(texts, results, strict=True):
        assert result.conversion.text.split(" ")[0] == text.split(" ")[0]
        assert len(result.conversion.text) == len(text)


def test_over_long_item_alone_fails(stub: Any) -> None:
    texts = [TEXT, "가" * 1_000_001, TEXT]
    response = stub.BatchConvert(pb.BatchConvertRequest(texts=texts))
    good, bad, other = response.results
    assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "1000000" in bad.error.message.replace(",", "").replace("_", "")
    assert good.conversion.text == other.conversion.text
    assert len(good.conversion.text) == len(TEXT)


@pytest.mark.parametrize(
    ("request_message", "method", "limit"),
    [
        (pb.ConvertRequest(text="가" * 1_000_001), "Convert", "1000000"),
        (pb.BatchConvertRequest(texts=["a"] * 1025), "BatchConvert", "1024"),
        (
            pb.ConvertRequest(text="a", options=pb.ConvertOptions(max_alternatives=9)),
            "Convert",
            "8",
        ),
        (
            pb.ConvertRequest(text="a", options=pb.ConvertOptions(style="verse")),
            "Convert",
            "modern",
        ),
    ],
)
def test_bad_requests_say_the_limit(stub: Any, request_message: Any, method: str, limit: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(request_message)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in (caught.value.details() or "").replace(",", "")
