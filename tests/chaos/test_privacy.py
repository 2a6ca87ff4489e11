"""A text goes through every method and fault; afterwards it stands nowhere but in the caller's hands."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from hanjaserve.v1 import hanjaserve_pb2 as pb

from .conftest import Patient, until
from .conversations import tensor
from .messages import METHODS, path_of, planted
from .server import POISON
from .verdict import is_endless

MARKER = "비밀갈매기수도"
# What an error may quote to the caller who sent it: names of settings, no text.
SETTINGS = ("style", "id", "name", "glossary", "token", "version", "datatype", "service")


def traces(text: str) -> list[str]:
    """How the marker might stand in an output: as it is, escaped, encoded, converted, in part."""
    utf8 = text.encode()
    return [
        text, text[:4], text.replace("수도", "首都"), ascii(text)[1:-1],
        "".join(f"\\{byte:o}" for byte in utf8[:9]), utf8.hex(), repr(utf8)[2:-1], str(ord(text[0])),
    ]  # fmt: skip


def assert_absent(output: str) -> None:
    for trace in traces(MARKER):
        assert trace not in output


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    flags = ("--runner-check-s", "3600", "--runner-patience-s", "1", "--max-text-code-points", "1000")
    with Patient(tiny_bundle, tmp_path_factory.mktemp("privacy"), *flags) as running:
        yield running


def call(server: Patient, method: MethodDescriptor, *requests: Any, **options: Any) -> str:
    """Everything that a call gives back when it fails; nothing when it succeeds."""
    serialize = lambda message: message if isinstance(message, bytes) else message.SerializeToString()  # noqa: E731
    stream = server.channel.stream_stream(path_of(method), serialize)
    found = stream(iter(requests), timeout=10, **options)
    try:
        for _ in found:
            if is_endless(method):
                found.cancel()
                break
    except grpc.RpcError as error:
        return f"{error.code()} {error.details()} {error.trailing_metadata()}"
    return ""


def test_no_text_gets_out(server: Patient) -> None:
    errors = [
        call(server, method, message)
        for method in METHODS
        for message in planted(method.input_type, MARKER)
        if not any(name in str(message).split(":")[0] or f"{name}:" in str(message) for name in SETTINGS)
    ]
    assert len(errors) >= 4
    convert, batch, infer = (
        next(method for method in METHODS if method.name == name)
        for name in ("Convert", "BatchConvert", "ModelInfer")
    )
    # Too long, not UTF-8, in a header, in the name of a method, an option, in a message over the limit.
    errors.append(call(server, convert, pb.ConvertRequest(text=MARKER * 1000)))
    broken = pb.ConvertRequest(text=MARKER).SerializeToString()[:-1] + b"\xff"
    errors.append(call(server, convert, broken))
    named = [("x-request-id", "a b" + MARKER.encode().hex())]
    errors.append(call(server, convert, pb.ConvertRequest(), metadata=named))
    errors.append(call(server, convert, pb.ConvertRequest(), metadata=[("m-bin", MARKER.encode())]))
    options = pb.ConvertOptions(style=MARKER)
    call(server, convert, pb.ConvertRequest(options=options))
    errors.append(call(server, batch, pb.BatchConvertRequest(texts=[MARKER * 900] * 9000)))
    # The runner throws, and hangs, with the text in its batch.
    errors.append(call(server, convert, pb.ConvertRequest(text=MARKER + POISON)))
    errors.append(call(server, infer, tensor(MARKER + POISON)))
    assert all("INTERNAL" in error for error in errors[-2:])
    with pytest.raises(grpc.RpcError):
        server.stub.Convert(pb.ConvertRequest(text=MARKER + POISON), timeout=10)
    server.falls_ill("first hang")
    server.convert(MARKER)
    assert server.convert(MARKER) != MARKER  # the other runner, and it does convert it
    errors = [error for error in errors if error]
    assert len(errors) > 4
    assert_absent("\n".join(errors))
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5) as page:
        assert_absent(page.read().decode())
    until(lambda: any("taken out of service" in line for line in server.log))
    assert_absent("\n".join(server.log + server.banner))
    assert any("hanjaserve_requests" in name for name in server.metrics())
    assert sum('"call"' in line for line in server.log) > 5
