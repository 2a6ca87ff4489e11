"""Driving a `StreamWindow` over a sync channel: threads feed, send and receive.

See `aio_stream.py` for what is subtle. Here it takes three threads per stream: one reads the
caller's texts, which may block; gRPC's consumes the requests; one receives, so that a silent server
can be told from a busy one. They share the window under one condition and end with the stream, the
feeder after the text that it is waiting for. They are daemons: an input that blocks for ever does
not keep the process alive.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeAlias

import grpc

from hanjaserve.client.access import Metadata
from hanjaserve.client.errors import ConvertError, error_from_rpc
from hanjaserve.client.options import ConvertOptions
from hanjaserve.client.requests import stream_config
from hanjaserve.client.results import Limits, Result
from hanjaserve.client.retry import Attempts, RetryPolicy
from hanjaserve.client.stubs import SyncStub
from hanjaserve.client.window import StreamWindow, cut_short, stalled
from hanjaserve.v1 import hanjaserve_pb2 as pb

# What the receiver hands over: a message, the error that ended the call, or None at its end.
_Inbox: TypeAlias = "SimpleQueue[pb.StreamConvertResponse | grpc.RpcError | None]"


class SyncStream:
    """One `convert_stream` over a sync channel, however many calls it takes."""

    def __init__(
        self,
        stub: SyncStub,
        texts: Iterable[str],
        *,
        options: ConvertOptions,
        limits: Limits,
        metadata: Metadata,
        retry: RetryPolicy,
        stall_s: float,
    ) -> None:
        self._stub = stub
        self._texts = texts
        self._config = stream_config(options)
        self._metadata = metadata
        self._attempts = Attempts(retry, timeout_s=None)
        self._stall_s = stall_s
        self._window = StreamWindow(limits, options)
        # Guards the window and everything below; notified whenever any of it changes.
        self._changed = threading.Condition()
        self._ended = False
        self._input_error: BaseException | None = None
        self._closed = False

    def results(self) -> Iterator[Result]:
        """Yield one result per text, in order; an error of the input comes after them."""
        threading.Thread(target=self._feed, name="hanjaserve-feed", daemon=True).start()
        try:
            while not self._complete():
                try:
                    yield from self._call()
                except ConvertError as error:
                    time.sleep(self._attempts.delay_after(error))
                    with self._changed:
                        self._window.restart()
            if self._input_error is not None:
                raise self._input_error
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _complete(self) -> bool:
        with self._changed:
            return self._ended and self._window.unanswered == 0

    def _feed(self) -> None:
        try:
            for text in self._texts:
                with self._changed:
                    self._changed.wait_for(lambda: self._window.room > 0 or self._closed)
                    if self._closed:
                        return
                    self._window.add(text)
                    self._changed.notify_all()
        except BaseException as error:  # handed to the caller's thread, whatever it is
            self._input_error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _requests(self, over: threading.Event) -> Iterator[pb.StreamConvertRequest]:
        yield self._config
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._window.has_unsent or self._ended or over.is_set())
                if over.is_set() or not self._window.has_unsent:
                    return
                group = self._window.next_group(time.monotonic())
            yield group

    def _call(self) -> Iterator[Result]:
        """One call: send what is unsent, and yield results until all is answered."""
        over = threading.Event()
        inbox: _Inbox = SimpleQueue()
        call = self._stub.StreamConvert(self._requests(over), metadata=tuple(self._metadata))
        receiver = threading.Thread(
            target=_receive, args=(call, inbox), name="hanjaserve-receive", daemon=True
        )
        receiver.start()
        try:
            while (response := self._next(inbox)) is not None:
                with self._changed:
                    results = self._window.answer(response, time.monotonic())
                    self._changed.notify_all()
                if results:
                    self._attempts.progressed()
                yield from results
        finally:
            over.set()
            with self._changed:
                self._changed.notify_all()
            call.cancel()
            receiver.join()
        if not self._complete():
            raise cut_short(self._window.unanswered)

    def _next(self, inbox: _Inbox) -> pb.StreamConvertResponse | None:
        """The next message; None at the end of the stream."""
        # The caller's own pauses between two results do not count against the server.
        started = time.monotonic()
        while True:
            with self._changed:
                now = time.monotonic()
                silent_s = min(self._window.waiting_s(now), now - started)
                if silent_s >= self._stall_s:
                    raise stalled(self._stall_s, self._window.unanswered)
            try:
                received = inbox.get(timeout=self._stall_s - silent_s)
            except Empty:
                continue
            if isinstance(received, grpc.RpcError):
                raise error_from_rpc(received) from received
            return received


def _receive(call: Iterable[pb.StreamConvertResponse], inbox: _Inbox) -> None:
    try:
        for response in call:
            inbox.put(response)
        inbox.put(None)
    except grpc.RpcError as error:
        inbox.put(error)
