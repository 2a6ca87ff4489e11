"""Bearer tokens: a file with their hashes, one line each, and the look-up of a caller by its token.

    # name    rights          sha256 of the token
    search    convert,live    5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8

`hanjaserve token NAME` prints such a line and the token. Several lines may have one name: to rotate a
token, add a line, give the new token out, remove the old line. A running server notices within seconds.

A token is 256 random bits, so one SHA-256 is as good as a slow password hash and costs nothing per
call. Every hash is compared, each in constant time, so the time of an answer tells nothing.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.server.errors import ConfigError
from hanjaserve.server.rights import Right

logger = logging.getLogger(__name__)

PREFIX = "hjs_"  # so that scanners for leaked secrets can know one
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HASH = re.compile(r"[0-9a-f]{64}")
# Nobody has more, and every call compares with all of them.
MAX_TOKENS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who is known.

    Attributes:
        name: As it stands in the file, and in the log.
        rights: What it may do.
    """

    name: str
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    caller: Caller
    digest: bytes


class TokenFile:
    """The callers of a token file, read again when the file changes.

    Raises:
        ConfigError: The file can't be read, or a line is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._entries: Sequence[_Entry] = ()
        self._load()

    def find(self, token: str) -> Caller | None:
        """The owner of a token, or None."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for entry in self._entries:
            if hmac.compare_digest(entry.digest, digest):
                found = entry.caller
        return found

    def refresh(self) -> bool:
        """Read the file again if it has changed; one that is wrong changes nothing.

        Blocks for as long as the file system does. Returns whether other tokens hold now.
        """
        try:
            return self._load()
        except ConfigError as error:
            logger.error("the old tokens stay in force: %s", error)
            return False

    def _load(self) -> bool:
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                return False
            self._stamp = stamp  # a file that is wrong is complained about once
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"token file {self._path} can't be read ({error})") from None
        self._entries = tuple(_entries(lines, self._path))
        return True


def make_token() -> str:
    """A new token: 256 random bits as text."""
    return PREFIX + secrets.token_urlsafe(32)


def token_line(name: str, rights: Iterable[Right], token: str) -> str:
    """The line of the file that lets `token` in.

    Raises:
        ConfigError: The name or the rights can't be written.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"the name {name!r} can't be used: take 1 to 64 letters, digits, '.', '_' and '-'")
    named = ",".join(sorted(set(rights)))
    line = f"{name} {named} {hashlib.sha256(token.encode()).hexdigest()}"
    _entry(line, "the new line")
    return line


def _entries(lines: Sequence[str], path: Path) -> Iterable[_Entry]:
    found = [
        _entry(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not found:
        raise ConfigError(f"{path} has no token: make one with `hanjaserve token NAME`")
    if len(found) > MAX_TOKENS:
        raise ConfigError(f"{path} has {len(found)} tokens, the limit is {MAX_TOKENS}")
    return found


def _entry(line: str, where: str) -> _Entry:
    # Never quotes the line: somebody may have put the token itself there.
    match line.split():
        case [name, rights, digest]:
            pass
        case parts:
            raise ConfigError(f"{where} has {len(parts)} words instead of three: NAME RIGHTS SHA256")
    if not NAME.fullmatch(name):
        raise ConfigError(f"{where}: a name is 1 to 64 letters, digits, '.', '_' and '-'")
    if not HASH.fullmatch(digest):
        raise ConfigError(f"{where}: the third word is no SHA-256; write the hash, not the token")
    try:
        allowed = frozenset(Right(right) for right in rights.split(","))
    except ValueError:
        known = ", ".join(Right)
        raise ConfigError(f"{where}: a right is unknown; use {known}, joined by commas") from None
    return _Entry(caller=Caller(name=name, rights=allowed), digest=bytes.fromhex(digest))


def _stamp(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino
