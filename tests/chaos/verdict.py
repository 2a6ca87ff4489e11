"""Whether a caller deserves the answer that he got: the same judge for all who send what they like."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

DESERVED = {
    grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED,
}  # fmt: skip
"""What a caller can bring about by what stands in a message. All else is the server's fault; that a call hung
is DEADLINE_EXCEEDED, that the process fell is UNAVAILABLE or CANCELLED."""
FAULTS = {grpc.StatusCode.UNKNOWN.value[0], grpc.StatusCode.INTERNAL.value[0]}
LEAKS = (b"Traceback", b'.py", line', b"site-packages")


@dataclass(slots=True)
class Answer:
    """How a call ended.

    Attributes:
        code: Its status.
        details: What the status says.
        messages: What came before, as bytes.
    """

    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    messages: list[bytes] = field(default_factory=list)

    def ended(self, error: Any) -> None:
        self.code, self.details = error.code(), error.details() or ""


def is_endless(method: MethodDescriptor) -> bool:
    """Whether only the caller ends a call: watching the health does not end by itself."""
    return bool(method.server_streaming and not method.client_streaming)


def complaint(method: MethodDescriptor, answer: Answer) -> str:
    """What is wrong with an answer; nothing if it is deserved."""
    if answer.code not in DESERVED:
        return f"{answer.code.name} {answer.details}"
    for text in (answer.details.encode(), *answer.messages):
        if any(leak in text for leak in LEAKS):
            return f"it leaks {text!r}"
    return next((str(error) for error in _errors(method, answer.messages) if error.code in FAULTS), "")


def _errors(method: MethodDescriptor, messages: Sequence[bytes]) -> list[Any]:
    """Of single texts: they travel in the message."""
    parse = GetMessageClass(method.output_type).FromString
    results = [result for message in messages for result in getattr(parse(message), "results", ())]
    return [result.error for result in results if result.HasField("error")]
