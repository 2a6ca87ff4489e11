"""Who the client is, and how it knows the server: TLS credentials and the bearer token.

    Client("hanja.example:443", credentials=tls(), token=os.environ["HANJASERVE_TOKEN"])

Both clients share this; nothing here opens a connection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

Metadata = Sequence[tuple[str, str | bytes]]

_LOOPBACK = ("127.", "localhost:", "[::1]", "unix:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a server, and as whom.

    Attributes:
        target: HOST:PORT, or any gRPC target.
        credentials: For TLS; None connects in plain text.
        token: By which the server knows the caller.
    """

    target: str
    credentials: grpc.ChannelCredentials | None = None
    token: str | None = None

    @property
    def metadata(self) -> Metadata:
        """The metadata of every call; see `with_token`."""
        return with_token((), self.token, target=self.target, credentials=self.credentials)


def is_loopback(target: str) -> bool:
    """Whether a gRPC target is on this machine, as far as its name tells."""
    return target.startswith(_LOOPBACK)


def tls(
    *, ca: Path | str | None = None, cert: Path | str | None = None, key: Path | str | None = None
) -> grpc.ChannelCredentials:
    """Credentials for a server with TLS.

    Args:
        ca: PEM of the authorities to trust; None for those that come with gRPC.
        cert: PEM of the client's own certificate, for a server that asks for one (mutual TLS).
        key: PEM of its key.

    Raises:
        ValueError: One of `cert` and `key` is missing.
        OSError: A file can't be read.
    """
    if (cert is None) != (key is None):
        raise ValueError("cert and key belong together: give both, or neither")
    return grpc.ssl_channel_credentials(_read(ca), _read(key), _read(cert))


def with_token(
    metadata: Metadata, token: str | None, *, target: str, credentials: grpc.ChannelCredentials | None
) -> Metadata:
    """The metadata of every call, the token included.

    Raises:
        ValueError: The token would cross a network in plain text, or can't be a header.
    """
    if token is None:
        return metadata
    if credentials is None and not is_loopback(target):
        raise ValueError(f"a token for {target} would be sent in plain text: pass credentials=tls()")
    if not token.isascii() or not token.isprintable() or not token:
        raise ValueError("a token is printable ASCII; this one is not (a line end at its end?)")
    return (*metadata, ("authorization", f"Bearer {token}"))


def _read(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
