"""Glossaries that callers have stored under an id, in the memory of this process.

A version is a hash of the entries, so it means the same on every server and after a restart. Nothing
is written to disk: after a restart callers are told NOT_FOUND, and put their glossary again. Several
front-end processes share what is stored (processes/shared.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hanjaserve.server.errors import BadOption, LimitReached, NotFound, StateChanged
from hanjaserve.server.glossary import Glossary, GlossaryEntry
from hanjaserve.server.readings import ReadingTable

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryLimits:
    """How much may be given and stored.

    Attributes:
        inline_entries: Entries of a glossary that comes with a call.
        entries: Entries of a stored glossary.
        glossaries: Stored glossaries.
    """

    inline_entries: int = 1_000
    entries: int = 20_000
    glossaries: int = 256


class Glossaries:
    """The stored glossaries; also checks those that come with a call.

    Attributes:
        limits: How much may be given and stored.
        readings: Those of the model in service, to check new entries by; None checks no reading.
    """

    def __init__(self, limits: GlossaryLimits | None = None, readings: ReadingTable | None = None) -> None:
        self.limits = limits or GlossaryLimits()
        self.readings = readings
        self._stored: dict[str, Glossary] = {}

    def inline(self, entries: Sequence[GlossaryEntry]) -> Glossary:
        """Check the glossary of a call.

        Raises:
            BadOption: It is too large, or an entry is not allowed.
        """
        return self._checked(entries, self.limits.inline_entries, "PutGlossary takes larger ones")

    def check(self, entries: Sequence[GlossaryEntry]) -> Glossary:
        """Check a glossary that is to be stored; touches no state, so a thread may do it.

        Raises:
            BadOption: It is too large, or an entry is not allowed.
        """
        return self._checked(entries, self.limits.entries, "split it")

    def put(self, name: str, glossary: Glossary, expected_version: str = "") -> None:
        """Store a glossary in place of the one of that id.

        Raises:
            BadOption: The id is none.
            StateChanged: The one that is there has another version than expected, or is gone.
            LimitReached: There are too many.
        """
        if not ID.fullmatch(name):
            message = f"id is {name[:64]!r}: use 1 to 64 letters, digits, dots, hyphens and underscores"
            raise BadOption("id", message)
        if expected_version:
            self._expect(name, expected_version)
        elif name not in self._stored and len(self._stored) >= self.limits.glossaries:
            raise LimitReached(
                f"{len(self._stored)} glossaries are stored, and the limit is {self.limits.glossaries}: "
                "delete one, or start the server with a larger --max-glossaries"
            )
        self._stored[name] = glossary

    def get(self, name: str, version: str = "") -> Glossary:
        """The glossary of an id.

        Raises:
            NotFound: There is none.
            StateChanged: It has another version than the one that is asked for.
        """
        glossary = self._stored.get(name)
        if glossary is None:
            raise NotFound(
                f"there is no glossary {name[:64]!r}: put it again, servers keep them in memory only"
            )
        if version and version != glossary.version:
            raise StateChanged(
                f"glossary {name!r} has version {glossary.version}, not {version[:64]!r}: "
                "put yours again, or ask for this one"
            )
        return glossary

    def delete(self, name: str, expected_version: str = "") -> None:
        """Forget a glossary.

        Raises:
            NotFound: There is none.
            StateChanged: It has another version than expected.
        """
        self.get(name, expected_version)
        del self._stored[name]

    async def store(self, name: str, glossary: Glossary, expected_version: str = "") -> None:
        """See `put`; returns once it holds for every call to this server."""
        self.put(name, glossary, expected_version)

    async def remove(self, name: str, expected_version: str = "") -> None:
        """See `delete`; returns once it holds for every call to this server."""
        self.delete(name, expected_version)

    def names(self) -> list[str]:
        """The ids, sorted."""
        return sorted(self._stored)

    def _expect(self, name: str, version: str) -> None:
        try:
            self.get(name, version)
        except NotFound as error:
            raise StateChanged(str(error)) from None

    def _checked(self, entries: Sequence[GlossaryEntry], limit: int, fix: str) -> Glossary:
        if len(entries) > limit:
            message = f"glossary.entries has {len(entries)} entries, the limit is {limit}: {fix}"
            raise BadOption("glossary.entries", message)
        return Glossary(entries, self.readings)
