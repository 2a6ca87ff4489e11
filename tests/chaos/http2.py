"""HTTP/2 by hand: frames that no client library would send."""

import socket
from types import TracebackType

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CONVERT = "/hanjaserve.v1.HanjaService/Convert"


class RawConnection:
    """One connection; frames go out as they are given.

    Args:
        address: HOST:PORT.
        window: Bytes that the peer may send per call; it is never told that there is room again.
        greet: Introduce itself.
        agree: Acknowledge the settings of the peer, which hold from then on.
    """

    def __init__(
        self, address: str, *, window: int | None = None, greet: bool = True, agree: bool = True
    ) -> None:
        host, port = address.split(":")
        # Another address than that of honest callers, who have a share of their own.
        source = ("127.0.0.2", 0)
        self.socket = socket.create_connection((host, int(port)), timeout=10, source_address=source)
        self._encoder, self._decoder = Encoder(), Decoder()
        if greet:
            settings = {} if window is None else {SettingsFrame.INITIAL_WINDOW_SIZE: window}
            self.send_bytes(PREFACE + SettingsFrame(0, settings=settings).serialize())
        if greet and agree:
            self.send(SettingsFrame(0, flags=["ACK"]))

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send_bytes(self, data: bytes) -> bool:
        """Whether the peer still took them."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def send(self, *frames: Frame) -> bool:
        return self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def headers(self, stream: int, *, path: str = CONVERT, extra: tuple[tuple[str, str], ...] = ()) -> Frame:
        """The headers of a call."""
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", "application/grpc"), ("te", "trailers"), *extra,
        ]  # fmt: skip
        return HeadersFrame(stream, data=self._encoder.encode(fields), flags=["END_HEADERS"])

    def data(self, stream: int, payload: bytes, *, end: bool = True) -> Frame:
        return DataFrame(stream, data=payload, flags=["END_STREAM"] if end else [])

    def reset(self, stream: int) -> Frame:
        return RstStreamFrame(stream, error_code=8)

    def ping(self) -> Frame:
        return PingFrame(0, opaque_data=b"12345678")

    def status_of(self, stream: int) -> str:
        """The grpc-status of a call; what else comes is forgotten.

        Raises:
            EOFError: The peer hung up before.
        """
        with self.socket.makefile("rb") as received:
            while len(head := received.read(9)) == 9:
                frame, length = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(received.read(length)))
                if isinstance(frame, HeadersFrame):
                    fields = dict(self._decoder.decode(frame.data))
                    if frame.stream_id == stream and "END_STREAM" in frame.flags:
                        return str(fields["grpc-status"])
        raise EOFError(f"the connection was closed before stream {stream} ended")

    def is_closed(self, seconds: float) -> bool:
        """Whether the peer hangs up within so many seconds; reads and forgets what it sends."""
        import time

        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False


def framed(message: bytes) -> bytes:
    """A message as gRPC puts it on the wire."""
    return b"\0" + len(message).to_bytes(4, "big") + message
