"""A caller's own words, in the forms that are convenient to write.

client.convert(text, glossary={"김영희": "金英姬", "우리": None})       # None keeps it in Hangul
info = client.put_glossary("names", {"김영희": "金英姬"})
client.convert(text, glossary=GlossaryReference(id="names", version=info.version))
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hanjaserve.v1 import hanjaserve_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryEntry:
    """One word.

    Attributes:
        hangul: As it stands in texts.
        hanja: What it becomes, as many code points; None keeps it in Hangul.
        allow_any_reading: Its Hanja need not be known to be read like its syllables.
    """

    hangul: str
    hanja: str | None
    allow_any_reading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryReference:
    """A glossary that the server has stored; of that version, if one is given."""

    id: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlossaryInfo:
    """What is known of a stored glossary.

    Attributes:
        id: Its id.
        version: A hash of its entries.
        entries: How many it has.
    """

    id: str
    version: str
    entries: int


Words: TypeAlias = Mapping[str, str | None] | Iterable[GlossaryEntry]


def entries_of(words: Words) -> tuple[GlossaryEntry, ...]:
    """The entries, however they were given."""
    if isinstance(words, Mapping):
        return tuple(GlossaryEntry(hangul=hangul, hanja=hanja) for hangul, hanja in words.items())
    return tuple(words)


def glossary_to_proto(words: Words) -> pb.Glossary:
    """The message for some words."""
    return pb.Glossary(
        entries=[
            pb.GlossaryEntry(
                hangul=entry.hangul,
                hanja=entry.hanja or "",
                keep=entry.hanja is None,
                allow_any_reading=entry.allow_any_reading,
            )
            for entry in entries_of(words)
        ]
    )


def glossary_from_proto(message: pb.Glossary) -> tuple[GlossaryEntry, ...]:
    """The value of a message."""
    return tuple(
        GlossaryEntry(
            hangul=entry.hangul,
            hanja=None if entry.keep else entry.hanja,
            allow_any_reading=entry.allow_any_reading,
        )
        for entry in message.entries
    )


def info_from_proto(message: pb.GlossaryInfo) -> GlossaryInfo:
    """The value of a message."""
    return GlossaryInfo(id=message.id, version=message.version, entries=message.entries)
