"""Stored glossaries of all front-ends: the supervisor decides, and everybody has a copy.

    PutGlossary -> front-end: check -> supervisor: version, limit -> every front-end: note it -> answer

When a put has been answered, every front-end knows the glossary; versions and the limit are as in one
process. A front-end that starts later is told all of them before it serves. They live as long as the
supervisor.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.glossaries import Glossaries, GlossaryLimits
from hanjaserve.server.glossary import Glossary, GlossaryEntry
from hanjaserve.server.processes.child import Child
from hanjaserve.server.processes.control import Message
from hanjaserve.server.processes.faults import fault_of

NOTED_S = 5.0
"""A front-end that takes longer to note something does not hold up the answer."""


class SharedGlossaries(Glossaries):
    """A front-end's copy.

    Args:
        limits: How much may be given and stored.
        ask: Has the supervisor decide; returns once everybody has noted it, or raises why not.
    """

    def __init__(self, limits: GlossaryLimits, ask: Callable[[Message], Awaitable[None]]) -> None:
        super().__init__(limits)
        self._ask = ask

    async def store(self, name: str, glossary: Glossary, expected_version: str = "") -> None:
        """See `Glossaries.store`."""
        await self._ask({"id": name, "entries": rows_of(glossary), "expected": expected_version})

    async def remove(self, name: str, expected_version: str = "") -> None:
        """See `Glossaries.remove`."""
        await self._ask({"id": name, "entries": None, "expected": expected_version})

    async def note(self, told: Message) -> None:
        """Take over what was decided."""
        if told["entries"] is None:
            self._stored.pop(told["id"], None)
        else:
            self._stored[told["id"]] = await asyncio.to_thread(_glossary, told["entries"])


class Registry:
    """The supervisor's: decides, and tells everybody.

    Args:
        limits: How much may be stored.
        frontends: Who is to be told.
    """

    def __init__(self, limits: GlossaryLimits, frontends: Callable[[], Iterable[Child]]) -> None:
        self._truth = Glossaries(limits)
        self._frontends = frontends
        self._one_at_a_time = asyncio.Lock()
        self._number = 0
        self._missing: set[int] = set()
        self._noted = asyncio.Event()

    def welcome(self, child: Child) -> None:
        """Tell a new front-end all that is stored."""
        for name in self._truth.names():
            child.tell(_order(name, rows_of(self._truth.get(name)), 0))

    async def decide(self, child: Child, asked: Message) -> None:
        """Store or delete what a front-end asks for, and answer it."""
        fault = None
        try:
            async with self._one_at_a_time:
                await self._change(asked)
                await self._tell_all(asked)
        except HanjaserveError as error:
            fault = fault_of(error)
        child.tell({"do": "answer", "number": asked["number"], "fault": fault})

    def hear(self, child: Child, message: Message) -> None:
        """A front-end has noted something."""
        if message["number"] == self._number:
            self._missing.discard(child.pid)
            self._noted.set()

    async def _change(self, asked: Message) -> None:
        name, expected = asked["id"], asked["expected"]
        if asked["entries"] is None:
            self._truth.delete(name, expected)
        else:
            self._truth.put(name, await asyncio.to_thread(_glossary, asked["entries"]), expected)

    async def _tell_all(self, asked: Message) -> None:
        self._number += 1
        told = {child.pid: child for child in self._frontends()}
        self._missing = set(told)
        for child in told.values():
            child.tell(_order(asked["id"], asked["entries"], self._number))
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTED_S):
                while any(not told[pid].ended.is_set() for pid in self._missing):
                    self._noted.clear()
                    await self._noted.wait()


def rows_of(glossary: Glossary) -> list[list[object]]:
    """Its entries, for JSON."""
    return [[e.hangul, e.hanja, e.keep, e.allow_any_reading] for e in glossary.entries]


def _order(name: str, rows: list[list[object]] | None, number: int) -> Message:
    return {"do": "note", "id": name, "entries": rows, "number": number}


def _glossary(rows: list[list[object]]) -> Glossary:
    return Glossary(
        GlossaryEntry(hangul=str(word), hanja=str(hanja), keep=bool(keep), allow_any_reading=bool(foreign))
        for word, hanja, keep, foreign in rows
    )
