"""Messages of any type, made from its descriptor: for methods that exist today and those of tomorrow."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hanjaserve.kserve import inference_pb2
from hanjaserve.v1 import hanjaserve_pb2 as pb

F = FieldDescriptor
METHODS: tuple[MethodDescriptor, ...] = tuple(
    method
    for file in (pb, inference_pb2, health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.full_name != "grpc.health.v1.Health.List"  # UNIMPLEMENTED, in asyncio's half of the library
)
"""Everything that the server answers."""
DEPTH = 5

PIECES = st.one_of(
    st.sampled_from(["수도", "대한민국의 ", "학교. ", "의사", "\0", "\n", "<b>&", "𠀀", "가" * 300]),
    st.text(max_size=8),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
NUMBERS: dict[int, st.SearchStrategy[Any]] = {
    F.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.CPPTYPE_UINT32: st.one_of(st.integers(0, 10), st.integers(0, 2**32 - 1)),
    F.CPPTYPE_UINT64: st.one_of(st.integers(0, 10), st.integers(0, 2**64 - 1)),
    F.CPPTYPE_FLOAT: st.one_of(st.floats(0, 1, width=32), st.floats(width=32)),
    F.CPPTYPE_DOUBLE: st.floats(),
    F.CPPTYPE_BOOL: st.booleans(),
    F.CPPTYPE_ENUM: st.one_of(st.integers(0, 6), st.integers(-(2**31), 2**31 - 1)),
}


def new(descriptor: Descriptor) -> Any:
    return message_factory.GetMessageClass(descriptor)()


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def messages(descriptor: Descriptor, depth: int = DEPTH) -> st.SearchStrategy[Any]:
    """Any message of a type."""

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        message = new(descriptor)
        for field in descriptor.fields:
            if draw(st.booleans()):
                _fill(draw, message, field, depth)
        return message

    return build()


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None:
        if depth == 0 or field.message_type.GetOptions().map_entry:
            return
        inner = messages(field.message_type, depth - 1)
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(inner, max_size=3)))
        else:
            getattr(message, field.name).CopyFrom(draw(inner))
        return
    values = NUMBERS.get(field.cpp_type, TEXTS)
    if field.type == F.TYPE_BYTES:
        values = st.binary(max_size=50)
    if field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(values, max_size=4)))
    else:
        setattr(message, field.name, draw(values))


def requests(method: MethodDescriptor, most: int = 4) -> st.SearchStrategy[list[bytes]]:
    """What a call may send: one message, or several where a method takes them."""
    several = st.lists(
        messages(method.input_type), min_size=1, max_size=most if method.client_streaming else 1
    )
    return several.map(lambda found: [message.SerializeToString() for message in found])


def some(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """That many examples, the same each time."""
    found: list[Any] = []

    @settings(
        max_examples=count, phases=(Phase.generate,), database=None, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def planted(descriptor: Descriptor, marker: str, depth: int = DEPTH) -> Iterator[Any]:
    """Messages that hold the marker in each of their strings, wherever it may stand, one at a time."""
    if depth == 0:
        return
    for field in descriptor.fields:
        if field.type in (F.TYPE_STRING, F.TYPE_BYTES):
            message, value = new(descriptor), marker if field.type == F.TYPE_STRING else marker.encode()
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
            yield message
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in planted(field.message_type, marker, depth - 1):
                message = new(descriptor)
                if field.is_repeated:
                    getattr(message, field.name).append(inner)
                else:
                    getattr(message, field.name).CopyFrom(inner)
                yield message
