"""`hanjaserve token`: make a token for a caller of a server.

    hanjaserve token search --file tokens.txt           # adds a line to the file, prints the token
    hanjaserve token search --rights convert,live       # prints both

The server keeps hashes only, so the token can't be had again: give it to its owner at once.
"""

import argparse
import os
from pathlib import Path

from hanjaserve.cli.errors import OK, USAGE, CliError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", metavar="NAME", help="who it is for; appears in the server's log")
    parser.add_argument(
        "--rights", default="convert,live", help="any of convert, live, glossary, admin; default convert,live"
    )
    parser.add_argument("--file", metavar="FILE", type=Path, help="token file of the server to add it to")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hanjaserve.server.errors import ConfigError
    from hanjaserve.server.rights import Right
    from hanjaserve.server.tokens import make_token, token_line

    token = make_token()
    try:
        rights = [Right(right) for right in arguments.rights.split(",")]
        line = token_line(arguments.name, rights, token)
    except ValueError:
        known = ", ".join(Right)
        raise CliError(f"--rights is {arguments.rights!r}: use {known}, joined by commas", USAGE) from None
    except ConfigError as error:
        raise CliError(str(error), USAGE) from error
    if arguments.file is None:
        print(line)
    else:
        _append(arguments.file, line)
    print(token)
    return OK


def _append(path: Path, line: str) -> None:
    """Add a line in one write, to a file that only its owner may read."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", USAGE) from error
