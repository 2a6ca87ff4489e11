"""Whether an address can be reached from elsewhere, and what must hold before a server listens there."""

import ipaddress
import logging
import socket

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import ConfigError

logger = logging.getLogger(__name__)


def check_exposure(config: ServerConfig) -> None:
    """Refuse to send texts and tokens through a network in plain text, unless told so; warn of the rest.

    Raises:
        ConfigError: The address is not this machine's own, and there is no TLS.
    """
    if is_loopback(config.host):
        return
    if not config.tls_cert and not config.allow_plaintext:
        raise ConfigError(
            f"host {config.host} can be reached by others, and there is no TLS: give --tls-cert and "
            "--tls-key, or --allow-plaintext yes where something in front of it encrypts"
        )
    if not config.tls_cert:
        logger.warning("plain text on %s: whoever is on the way can read texts and tokens", config.host)
    if not config.tokens and not config.tls_client_ca:
        logger.warning("no --tokens and no --tls-client-ca: whoever reaches %s may use it", config.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host; all of its addresses must be so.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
        (True, False)
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # listening there fails anyway, and says why
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)
