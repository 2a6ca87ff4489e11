"""Why a server can't be reached, in words for whoever typed the command; gRPC's own say little to most.

Used by commands, whose options it names.
"""

import re

NOBODY = "failed to connect to all addresses"
"""How gRPC's message begins when no connection came about; a server that is there says more."""
_TLS_FAILED = re.compile(r"(?i:tls handshake failed)(?:.*OPENSSL_internal:(?P<why>[A-Z_]+))?")


def why_unreachable(target: str, message: str, *, otherwise: str = "") -> str:
    """What is wrong, and what to do about it.

    Args:
        target: Where the server should be.
        message: What gRPC says.
        otherwise: What can be done without a server, for the end of the sentence.
    """
    if found := _TLS_FAILED.search(message):
        why = (found["why"] or found[0]).lower()
        if why == "wrong_version_number":
            return f"{target} speaks no TLS: leave --tls, --ca and --cert away"
        return f"no TLS with {target} ({why}): --ca names the authority of its certificate"
    if "Socket closed" in message:
        return f"{target} hangs up: a server with TLS wants --ca or --tls, and maybe --cert and --key"
    return f"no server at {target}: start one with `hanjaserve serve`{otherwise}"
