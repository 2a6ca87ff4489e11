"""TLS for the listener: certificates from PEM files, which may be renewed while the server runs.

Every new connection gets the newest pair that was found to be whole. Connections that are open keep
theirs; gRPC closes them once they are old enough (`--max-connection-age-s`).

Certificates are checked with the standard library: a key that does not belong to its certificate
is found before a caller is turned away by it.
"""

import logging
import os
import ssl
from pathlib import Path

import grpc

from hanjaserve.server.errors import ConfigError

logger = logging.getLogger(__name__)


class Certificates:
    """The server's certificate and key, and whose certificates it trusts.

    Args:
        cert: PEM, the server's own certificate first, then the intermediate ones.
        key: PEM, without a passphrase.
        client_ca: PEM; callers must have a certificate from one of these. None asks for none.

    Raises:
        ConfigError: A file can't be read, or the files don't belong together.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._stamps: list[tuple[int, int, int]] = []
        self._current = self._given = self._load()

    def server_credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files."""
        return grpc.dynamic_ssl_server_credentials(
            self._given,
            self._newer,  # type: ignore[arg-type]  # None is documented, the stubs don't know
            require_client_authentication=self._client_ca is not None,
        )

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """What has to be used from now on, if it has changed; gRPC asks at every handshake, in a thread."""
        current = self._current
        if current is self._given:
            return None
        self._given = current
        return current

    def refresh(self) -> bool:
        """Read the files again if one has changed; a pair that is not whole changes nothing.

        Blocks for as long as the file system does. Returns whether other certificates hold now.
        """
        try:
            if self._stamps == self._read_stamps():
                return False
            self._current = self._load()
        except ConfigError as error:
            logger.error("the old certificates stay in force: %s", error)
            return False
        logger.info("certificates renewed")
        return True

    def _paths(self) -> list[Path]:
        return [self._cert, self._key, *([self._client_ca] if self._client_ca else [])]

    def _read_stamps(self) -> list[tuple[int, int, int]]:
        stamps = []
        for path in self._paths():
            try:
                status = os.stat(path)
            except OSError as error:
                raise ConfigError(f"{path} can't be read ({error.strerror})") from None
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return stamps

    def _load(self) -> grpc.ServerCertificateConfiguration:
        self._stamps = self._read_stamps()
        check_pair(self._cert, self._key)
        if self._client_ca:
            check_authority(self._client_ca)
        try:
            contents = [path.read_bytes() for path in self._paths()]
        except OSError as error:
            raise ConfigError(f"{error.filename} can't be read ({error.strerror})") from None
        cert, key, *authority = contents
        return grpc.ssl_server_certificate_configuration(
            [(key, cert)], root_certificates=authority[0] if authority else None
        )


def check_pair(cert: Path, key: Path) -> None:
    """Raise ConfigError unless the files are a certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"certificate {cert} and key {key} don't work ({_reason(error)}): give a PEM certificate "
            "and its PEM key without a passphrase"
        ) from None


def check_authority(path: Path) -> None:
    """Raise ConfigError unless the file holds certificates to trust."""
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:
        raise ConfigError(f"{path} holds no certificates ({_reason(error)}): give PEM") from None


def _no_passphrase() -> str:
    # Without this, OpenSSL would ask on the terminal and wait.
    raise ValueError("the key has a passphrase")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
