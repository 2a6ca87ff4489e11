"""Messages of any size with the descriptors that belong to them, and the end of the line."""

import asyncio
import gc
import os
import socket
from typing import Any

from hanjaserve.server.processes.control import Control


class Line:
    def __init__(self) -> None:
        one, other = socket.socketpair()
        self.came: list[tuple[dict[str, Any], list[int]]] = []
        self.ended = asyncio.Event()
        self.near = Control(one, lambda *_: None, lambda: None)
        self.far = Control(other, lambda message, fds: self.came.append((message, fds)), self.ended.set)

    async def arrived(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.came) < count:  # noqa: ASYNC110 - a test
                await asyncio.sleep(0.001)


async def test_messages_come_in_order_with_their_own_descriptors() -> None:
    gc.collect()  # what earlier tests left
    before = len(os.listdir("/proc/self/fd"))
    line = Line()
    pipes = [os.pipe() for _ in range(3)]
    for number, (reading, writing) in enumerate(pipes):
        os.write(writing, str(number).encode())
        os.close(writing)
        line.near.send({"number": number, "text": "가\n나"})
        # Larger than the socket's buffer.
        line.near.send({"number": number, "text": "x" * 500_000}, [reading])
    await line.arrived(6)
    for number, (message, descriptors) in enumerate(line.came):
        assert message["number"] == number // 2
        assert len(descriptors) == number % 2
        for descriptor in descriptors:
            assert os.read(descriptor, 9) == str(number // 2).encode()
            assert not os.get_inheritable(descriptor)
            os.close(descriptor)
    line.near.close()
    await asyncio.wait_for(line.ended.wait(), 5)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_descriptors_for_somebody_who_has_gone_are_closed() -> None:
    line = Line()
    gc.collect()  # what earlier tests left
    before = len(os.listdir("/proc/self/fd"))
    line.far.close()
    reading, writing = os.pipe()
    line.near.send({"do": "link"}, [reading, writing])
    line.near.close()
    line.near.send({"do": "link"}, list(os.pipe()))
    assert len(os.listdir("/proc/self/fd")) == before - 2
