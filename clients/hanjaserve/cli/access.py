"""The options by which a command reaches a server: TLS and the token.

The token comes from a variable or a file: on a command line, everybody on the machine could read it.
"""

import argparse
import os
from pathlib import Path

import grpc

from hanjaserve.cli.errors import NO_SERVER, USAGE, CliError
from hanjaserve.client import DEFAULT_TARGET, ConvertError, SyncClient, tls
from hanjaserve.client.access import Access
from hanjaserve.client.reach import why_unreachable


def add_access_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of TLS and the token."""
    group = parser.add_argument_group(
        "access to the server",
        "A token is read from $HANJASERVE_TOKEN, or from --token-file.",
    )
    group.add_argument("--tls", action="store_true", help="use TLS, with the authorities that gRPC brings")
    for flag, variable, help_text in (
        ("--ca", "HANJASERVE_CA", "PEM of the authorities to trust; implies --tls"),
        ("--cert", "HANJASERVE_CERT", "PEM of the client's certificate, for mutual TLS; with --key"),
        ("--key", "HANJASERVE_KEY", "PEM of its key"),
        ("--token-file", "HANJASERVE_TOKEN_FILE", "file that holds the token"),
    ):
        group.add_argument(
            flag, metavar="FILE", default=os.environ.get(variable), help=f"{help_text} [{variable}]"
        )


def access_of(arguments: argparse.Namespace) -> Access:
    """How the arguments say that the server is reached; needs `--target` among them.

    Raises:
        CliError: A file can't be read, or the options contradict each other.
    """
    target = arguments.target or os.environ.get("HANJASERVE_TARGET") or DEFAULT_TARGET
    try:
        access = Access(target=target, credentials=_credentials(arguments), token=_token(arguments))
        _ = access.metadata  # checks the token
    except ValueError as error:
        raise CliError(str(error), USAGE) from error
    except OSError as error:
        raise CliError(f"cannot read {error.filename}: {error.strerror}", USAGE) from error
    return access


def open_client(arguments: argparse.Namespace) -> SyncClient:
    """A client as the arguments describe it; see `access_of`."""
    access = access_of(arguments)
    return SyncClient(access.target, credentials=access.credentials, token=access.token)


def no_server(target: str, error: ConvertError, *, otherwise: str = "") -> CliError:
    """What to tell a user whom nobody answered.

    Args:
        target: Where the server should be.
        error: What the first call failed with.
        otherwise: What can be done without a server, for the end of the message.
    """
    return CliError(why_unreachable(target, error.message, otherwise=otherwise), NO_SERVER)


def _credentials(arguments: argparse.Namespace) -> grpc.ChannelCredentials | None:
    files = {name: getattr(arguments, name) for name in ("ca", "cert", "key")}
    return tls(**files) if arguments.tls or any(files.values()) else None


def _token(arguments: argparse.Namespace) -> str | None:
    if arguments.token_file:
        return Path(arguments.token_file).read_text(encoding="utf-8").strip()
    return os.environ.get("HANJASERVE_TOKEN") or None
