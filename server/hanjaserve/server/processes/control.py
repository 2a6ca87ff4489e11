"""The line between the supervisor and one of its processes: messages, and descriptors that go with them.

A message is a JSON object on a line. Descriptors arrive with the first byte of their line, so a line that
says that it has some finds them there. The end of the line is the end of the process on the other side,
whatever ended it.
"""

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

Message = dict[str, Any]
OnMessage = Callable[[Message, list[int]], None]
CHUNK = 65_536
MAX_DESCRIPTORS = 16
COUNT = "descriptors"


class Control:
    """One end; for one event loop. Closes the socket with `close`.

    Args:
        end: Of a `socket.socketpair`.
        on_message: Called with every message and its descriptors, which are then the callee's to close.
        on_end: Called once when the other side is gone; not after `close`.
    """

    def __init__(self, end: socket.socket, on_message: OnMessage, on_end: Callable[[], None]) -> None:
        self._socket = end
        self._on_message, self._on_end = on_message, on_end
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._descriptors: deque[int] = deque()
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._is_open = True
        end.setblocking(False)
        self._loop.add_reader(end, self._receive)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message, in order and without waiting; the descriptors are closed once they are sent."""
        line = json.dumps({**message, COUNT: len(descriptors)}, ensure_ascii=False).encode() + b"\n"
        self._outgoing.append((line, list(descriptors)))
        if len(self._outgoing) == 1:
            self._flush()

    def close(self) -> None:
        """Hang up."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
        self._drop()

    def _flush(self) -> None:
        while self._outgoing:
            line, descriptors = self._outgoing[0]
            try:
                sent = socket.send_fds(self._socket, [line], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._flush)
                return
            except OSError:
                # It is gone, and the reader notices. Nobody else may wait for what was meant for it.
                self._drop()
                return
            _close_all(descriptors)
            if sent == len(line):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = (line[sent:], [])
        if self._is_open:
            self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, CHUNK, MAX_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        for number in descriptors:
            os.set_inheritable(number, False)
        self._descriptors.extend(descriptors)
        if not data:
            self.close()
            self._on_end()
            return
        self._incoming += data
        if b"\n" not in data:
            return
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        for line in lines:
            message = json.loads(line)
            own = [self._descriptors.popleft() for _ in range(message.pop(COUNT))]
            self._on_message(message, own)

    def _drop(self) -> None:
        for _, descriptors in self._outgoing:
            _close_all(descriptors)
        self._outgoing.clear()
        _close_all(self._descriptors)
        self._descriptors.clear()


def _close_all(descriptors: Sequence[int] | deque[int]) -> None:
    for number in descriptors:
        os.close(number)
