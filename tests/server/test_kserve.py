import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.kserve import inference_pb2 as pb
from hanjaserve.kserve.inference_pb2_grpc import GRPCInferenceServiceStub
from hanjaserve.server.batcher import Priority
from hanjaserve.server.errors import BadOption
from hanjaserve.server.kserve.tensors import join, split
from hanjaserve.server.options import Rendering

from .test_service import Harness, running, violation

Code = grpc.StatusCode


def stub_for(harness: Harness) -> Any:
    return GRPCInferenceServiceStub(harness.channel)  # type: ignore[no-untyped-call]


def raw(*texts: str) -> bytes:
    """Elements as the protocol documents them, written down independently of the server."""
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)


def request(*texts: str, shape: list[int] | None = None, **fields: Any) -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(model_name="tiny", id="r1", raw_input_contents=[raw(*texts)])
    made.inputs.add(name="TEXT", datatype="BYTES", shape=shape or [len(texts)])
    made.MergeFrom(pb.ModelInferRequest(**fields))
    return made


def parameters(**values: Any) -> dict[str, pb.InferParameter]:
    kinds = {str: "string_param", bool: "bool_param", int: "int64_param", float: "double_param"}
    return {name: pb.InferParameter(**{kinds[type(value)]: value}) for name, value in values.items()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_texts_are_converted_in_the_shape_in_which_they_came() -> None:
    async with running() as harness:
        response = await stub_for(harness).ModelInfer(request("abc", "", "수도", shape=[3, 1]))
    assert (response.model_name, response.model_version, response.id) == ("tiny", "1", "r1")
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("CONVERTED", "BYTES", [3, 1])
    assert list(response.raw_output_contents) == [raw("ABC", "", "수도")]


async def test_elements_may_come_in_contents() -> None:
    made = pb.ModelInferRequest(model_name="tiny")
    tensor = made.inputs.add(name="TEXT", datatype="BYTES", shape=[2])
    tensor.contents.bytes_contents.extend([b"a", b"b"])
    async with running() as harness:
        response = await stub_for(harness).ModelInfer(made)
    assert list(response.raw_output_contents) == [raw("A", "B")]


async def test_parameters_become_options_and_a_deadline() -> None:
    wanted = parameters(style="scripture", rendering="ruby", min_score=0.5, first_occurrence_only=True)
    async with running() as harness:
        stub = stub_for(harness)
        await stub.ModelInfer(request("a", parameters={**wanted, **parameters(timeout=2_000_000)}))
        await stub.ModelInfer(request("a" * 5000))
        (first, deadline, priority), second = harness.converter.calls
    assert (first.style, first.rendering, first.min_score) == ("scripture", Rendering.RUBY, 0.5)
    assert first.first_occurrence_only and not first.with_spans
    assert deadline is not None
    assert (priority, second[1], second[2]) == (Priority.INTERACTIVE, None, Priority.BULK)


@pytest.mark.parametrize(
    ("made", "field", "message"),
    [
        (pb.ModelInferRequest(model_name="tiny"), "inputs", "the inputs are none"),
        (request("a", model_name="other"), "model_name", "'other' is unknown: use 'tiny'"),
        (request("a", model_version="2"), "model_version", "use '1'"),
        (request("a", shape=[2]), "inputs.shape", "does not hold the 1 elements"),
        (request("a", shape=[-1, -1]), "inputs.shape", "does not hold"),
        (request("a", raw_input_contents=[b""]), "raw_input_contents", "once"),
        (request("a", parameters=parameters(colour="red")), "parameters", "'colour' is unknown"),
        (request("a", parameters=parameters(style=1)), "style", "wrong type"),
        (request("a", parameters=parameters(min_score=True)), "min_score", "wrong type"),
        (request("a", parameters=parameters(style="loud")), "style", "this model knows"),
        (request("a", parameters=parameters(rendering="loud")), "rendering", "hangul-hanja"),
        (request("a", parameters=parameters(timeout=-1)), "timeout", "microseconds"),
        (request(*"abc"), "texts", "the limit is 2"),
    ],
)
async def test_bad_request_is_explained(made: pb.ModelInferRequest, field: str, message: str) -> None:
    async with running(max_batch_items=2) as harness:
        error = await refused(stub_for(harness).ModelInfer(made))
        assert harness.converter.calls == []
    assert error.code() is Code.INVALID_ARGUMENT
    assert message in (error.details() or "")
    assert violation(error) == field


@pytest.mark.parametrize("element", [b"\xff", b"\xed\xa0\x80"])
async def test_bytes_that_are_not_utf8_are_refused(element: bytes) -> None:
    made = request("a")
    made.raw_input_contents[0] = raw("a") + struct.pack("<I", len(element)) + element
    made.inputs[0].shape[0] = 2
    async with running() as harness:
        error = await refused(stub_for(harness).ModelInfer(made))
    assert error.code() is Code.INVALID_ARGUMENT
    assert "element 1 of TEXT is not UTF-8" in (error.details() or "")


async def test_text_that_fails_fails_its_request() -> None:
    async with running() as harness:
        stub = stub_for(harness)
        error = await refused(stub.ModelInfer(request("a", "!long", "!fault")))
        counts = (await stub.ModelStatistics(pb.ModelStatisticsRequest())).model_stats[0]
    assert error.code() is Code.INVALID_ARGUMENT
    assert (counts.inference_count, counts.inference_stats.fail.count) == (0, 1)


async def test_stream_answers_in_order_and_a_failure_does_not_end_it() -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for number in range(200):
            yield request("!fault" if number == 7 else f"t{number}", id=f"n{number}")

    async with running() as harness:
        answers = [answer async for answer in stub_for(harness).ModelStreamInfer(requests())]
    assert [answer.infer_response.id for answer in answers] == [f"n{number}" for number in range(200)]
    assert [number for number, answer in enumerate(answers) if answer.error_message] == [7]
    assert list(answers[8].infer_response.raw_output_contents) == [raw("T8")]


async def test_stream_reads_no_more_than_it_can_answer() -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for _ in range(500):
            yield request("a")

    async with running() as harness:
        harness.converter.hold.clear()
        call = stub_for(harness).ModelStreamInfer(requests())
        await until(lambda: harness.converter.items == 64)
        await asyncio.sleep(0.1)
        assert harness.converter.most_items == 64
        call.cancel()
        await until(lambda: harness.converter.cancelled == 64 and not harness.gate.active)


async def test_descriptions() -> None:
    async with running() as harness:
        stub = stub_for(harness)
        assert (await stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
        assert (await stub.ServerMetadata(pb.ServerMetadataRequest())).name == "hanjaserve"
        metadata = await stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny"))
        assert [list(tensor.shape) for tensor in (*metadata.inputs, *metadata.outputs)] == [[-1, 1]] * 2
        config = (await stub.ModelConfig(pb.ModelConfigRequest(name="tiny", version="1"))).config
        assert (config.max_batch_size, config.input[0].data_type) == (1024, pb.TYPE_STRING)
        ready = [
            (await stub.ModelReady(pb.ModelReadyRequest(name=name, version=version))).ready
            for name, version in (("tiny", ""), ("tiny", "1"), ("tiny", "9"), ("none", ""))
        ]
        assert ready == [True, True, False, False]


async def test_statistics_count_what_was_answered() -> None:
    async with running() as harness:
        stub = stub_for(harness)
        for _ in range(3):
            await stub.ModelInfer(request("a", "b"))
        (counts,) = (await stub.ModelStatistics(pb.ModelStatisticsRequest(name="tiny"))).model_stats
    assert (counts.inference_count, counts.execution_count) == (6, 3)
    assert counts.inference_stats.success.count == 3
    assert counts.inference_stats.success.ns > 0


async def test_before_the_model_is_there() -> None:
    async with running(live=False) as harness:
        stub = stub_for(harness)
        assert (await stub.ServerLive(pb.ServerLiveRequest())).live
        assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready
        assert not (await stub.ModelReady(pb.ModelReadyRequest(name="tiny"))).ready
        for call in (
            stub.ModelInfer(request("a")),
            stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny")),
            stub.ModelStatistics(pb.ModelStatisticsRequest()),
        ):
            assert (await refused(call)).code() is Code.UNAVAILABLE


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_raw_elements_survive(elements: list[bytes]) -> None:
    assert split(join(elements)) == elements


@given(st.binary(max_size=40))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    try:
        elements = split(data)
    except BadOption:
        return
    assert join(elements) == data


def test_numbers_are_those_of_the_protocol() -> None:
    """A field that moves makes clients of other makers fail in strange ways; these stand in the protocol."""
    numbers = {
        (pb.ModelInferRequest, "raw_input_contents"): 7,
        (pb.ModelInferResponse, "raw_output_contents"): 6,
        (pb.ModelInferRequest.InferInputTensor, "contents"): 5,
        (pb.InferTensorContents, "bytes_contents"): 8,
        (pb.ModelConfig, "max_batch_size"): 4,
        (pb.ModelConfig, "dynamic_batching"): 11,
        (pb.ModelConfig, "backend"): 17,
        (pb.ModelStatistics, "inference_stats"): 6,
        (pb.InferStatistics, "compute_output"): 6,
        (pb.ModelStreamInferResponse, "infer_response"): 2,
    }
    found = {key: key[0].DESCRIPTOR.fields_by_name[key[1]].number for key in numbers}
    assert found == numbers
    assert pb.TYPE_STRING == 13
