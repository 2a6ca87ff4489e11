"""New inputs from old ones: parts left out, two put together, bytes damaged.

Thousands a second, where Hypothesis makes some hundred; what it makes is what they descend from.
An input is what one call sends: messages, as bytes.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

Input = list[bytes]
MOST_MESSAGES = 6
"""Of one input, for methods that take several."""
LARGEST = 9_000
"""Bytes of a message: children of children grow, and all messages of an input must fit into a window."""
KEPT = 0.8
"""How likely each part of a parent is passed on."""


class Breeder:
    """Inputs for one method, from others none of whose messages is larger than LARGEST.

    Attributes:
        pools: Where parents are taken from, from each pool as often: a few that are remarkable have as many
            children as thousands that are not.
    """

    def __init__(self, method: MethodDescriptor, first: Sequence[Input], rng: random.Random) -> None:
        self.pools: dict[str, list[Input]] = {"first": list(first)}
        self._parse: Callable[[bytes], Any] = GetMessageClass(method.input_type).FromString
        self._several = method.client_streaming
        self._rng = rng

    def next(self) -> Input:
        """One or two parents, of whose messages some are left out, and one, more or less, is changed."""
        rng = self._rng
        messages = [message for message in self._parent() if rng.random() < KEPT]
        if self._several and rng.random() < 0.3:
            messages += self._parent()[rng.randrange(2) :]
        del messages[MOST_MESSAGES if self._several else 1 :]
        bred = [self._changed(one) if rng.random() < 0.8 / len(messages) else one for one in messages]
        return bred or [self._changed(b"")]

    def _parent(self) -> Input:
        return self._rng.choice(self._rng.choice(list(self.pools.values())))

    def _changed(self, message: bytes) -> bytes:
        rng = self._rng
        match rng.randrange(6):
            case 0:
                return rng.randbytes(rng.randrange(200))
            case 1 | 2:
                return mutated(message or rng.randbytes(8), rng)[:LARGEST]
            case _:
                return self._crossed(message, rng.choice(self._parent()))

    def _crossed(self, one: bytes, other: bytes) -> bytes:
        try:
            child = thinned(self._parse(one), self._rng)
            child.MergeFrom(thinned(self._parse(other), self._rng))
        except DecodeError:
            # To a parser, two messages in a row are one, in which the second one has the last word.
            return (one + other)[:LARGEST]
        data: bytes = child.SerializeToString()
        return data if len(data) <= LARGEST else one


def thinned(message: Any, rng: random.Random) -> Any:
    """A copy in which any field, and any item of a field, at any depth, may be missing."""
    child = type(message)()
    for field, value in message.ListFields():
        if rng.random() >= KEPT:
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            getattr(child, field.name).MergeFrom(value)
        elif field.is_repeated:
            kept = [item for item in value if rng.random() < KEPT]
            getattr(child, field.name).extend([thinned(item, rng) for item in kept] if inner else kept)
        elif inner is not None:
            getattr(child, field.name).CopyFrom(thinned(value, rng))
        else:
            setattr(child, field.name, value)
    return child


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out, or repeated."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found))
        match rng.randrange(5):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                found[at] = rng.choice((0x00, 0x01, 0x7F, 0x80, 0xFF))  # where numbers and lengths end
            case 2:
                del found[at : at + rng.randint(1, 8)]
            case 3:
                found[at:at] = found[at : at + rng.randint(1, 64)]
            case 4:
                found[at:at] = rng.randbytes(rng.randint(1, 16))
        if not found:
            found = bytearray(b"\0")
    return bytes(found)
