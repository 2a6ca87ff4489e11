"""Bytes of a terminal as keys. Pure; keeps what is not complete yet."""

import codecs
from collections.abc import Iterator

NAMED = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left",
    "\x1b[H": "home", "\x1b[F": "end", "\x1b[1~": "home", "\x1b[4~": "end", "\x1b[3~": "delete",
    "\x7f": "backspace", "\x08": "backspace", "\t": "tab", "\r": "\n", "\n": "\n",
    "\x03": "interrupt", "\x04": "quit", "\x01": "home", "\x05": "end",
}  # fmt: skip
LONGEST = max(map(len, NAMED))


class KeyReader:
    """Reads keys: characters stand for themselves, all others have the names of `NAMED`, or escape."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """The keys that are complete now. A lone escape counts once nothing follows it in one read."""
        self._rest += self._decoder.decode(data)
        while self._rest:
            known = next((s for s in NAMED if self._rest.startswith(s)), None)
            if known is not None:
                self._rest = self._rest[len(known) :]
                yield NAMED[known]
            elif self._rest == "\x1b":
                self._rest = ""
                yield "escape"
            elif self._rest.startswith("\x1b"):
                if len(self._rest) < LONGEST and any(s.startswith(self._rest) for s in NAMED):
                    return
                self._rest = self._rest[self._sequence() :]
            else:
                char, self._rest = self._rest[0], self._rest[1:]
                if char.isprintable():
                    yield char

    def _sequence(self) -> int:
        """The length of an escape sequence that has no name here."""
        for at, char in enumerate(self._rest[1:], start=1):
            if char.isalpha() or char == "~":
                return at + 1
        return len(self._rest)
