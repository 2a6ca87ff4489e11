"""Messages of any type, made from its descriptor: for methods that exist today and those of tomorrow."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from hypothesis import strategies as st

from hanjaserve.v1 import hanjaserve_pb2 as pb

F = FieldDescriptor
SERVICE = pb.DESCRIPTOR.services_by_name["HanjaService"]
METHODS: tuple[MethodDescriptor, ...] = tuple(SERVICE.methods)
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


def planted(descriptor: Descriptor, marker: str, depth: int = DEPTH) -> Iterator[Any]:
    """Messages that hold the marker in each of their strings, wherever it may stand, one at a time."""
    if depth == 0:
        return
    for field in descriptor.fields:
        if field.type == F.TYPE_STRING:
            message = new(descriptor)
            if field.is_repeated:
                getattr(message, field.name).append(marker)
            else:
                setattr(message, field.name, marker)
            yield message
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in planted(field.message_type, marker, depth - 1):
                message = new(descriptor)
                if field.is_repeated:
                    getattr(message, field.name).append(inner)
                else:
                    getattr(message, field.name).CopyFrom(inner)
                yield message
