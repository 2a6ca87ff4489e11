"""Between protocol messages and the converter's own values; nothing but translation and checks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hanjaserve.server.characters import CharacterSet, characters_of
from hanjaserve.server.converter import Conversion
from hanjaserve.server.errors import BadOption, HanjaserveError, InvalidText
from hanjaserve.server.glossaries import Glossaries
from hanjaserve.server.glossary import Glossary, GlossaryEntry
from hanjaserve.server.options import DEFAULT_STYLE, Options, Rendering
from hanjaserve.server.spans import Source, Span
from hanjaserve.server.status import status_of
from hanjaserve.v1 import hanjaserve_pb2 as pb

K = TypeVar("K", bound=int)
T = TypeVar("T")

RENDERINGS = {
    pb.RENDERING_UNSPECIFIED: Rendering.HANJA,
    pb.RENDERING_HANJA: Rendering.HANJA,
    pb.RENDERING_HANGUL_HANJA: Rendering.HANGUL_HANJA,
    pb.RENDERING_HANJA_HANGUL: Rendering.HANJA_HANGUL,
    pb.RENDERING_RUBY: Rendering.RUBY,
    pb.RENDERING_HANGUL: Rendering.HANGUL,
}
CHARACTER_SETS = {
    pb.CHARACTER_SET_UNSPECIFIED: CharacterSet.ALL,
    pb.CHARACTER_SET_ALL: CharacterSet.ALL,
    pb.CHARACTER_SET_EDUCATIONAL: CharacterSet.EDUCATIONAL,
    pb.CHARACTER_SET_CUSTOM: CharacterSet.CUSTOM,
}
SOURCES = {
    Source.MODEL: pb.SPAN_SOURCE_MODEL,
    Source.GLOSSARY: pb.SPAN_SOURCE_GLOSSARY,
    Source.READING: pb.SPAN_SOURCE_READING,
    Source.KEPT: pb.SPAN_SOURCE_KEPT,
}


def check_parsed(message: object) -> None:
    """Raise for a message that did not parse, which `listener.MalformedToNone` turns into None."""
    if message is None:
        raise InvalidText("the message is not valid protobuf, or a text in it is not valid UTF-8: send UTF-8")


def options_from(
    message: pb.ConvertOptions, styles: Collection[str], glossaries: Glossaries | None = None
) -> Options:
    """Check the options of a call.

    Args:
        message: What the caller sent; unset fields mean the defaults.
        styles: The styles that the model knows.
        glossaries: The stored ones; also checks the one that comes along.

    Raises:
        BadOption: Names the field, its value and what is allowed.
        NotFound: There is no glossary of that id.
        StateChanged: It has another version.
    """
    try:
        options = Options(
            rendering=one_of(RENDERINGS, "rendering", "Rendering", message.rendering),
            min_score=message.min_score,
            max_alternatives=message.max_alternatives,
            first_occurrence_only=message.first_occurrence_only,
            style=message.style or DEFAULT_STYLE,
            with_spans=message.with_spans,
            characters=characters_of(
                one_of(CHARACTER_SETS, "character_set", "CharacterSet", message.character_set),
                message.characters,
            ),
            with_kept=message.with_kept,
            read_hanja=message.read_hanja,
            glossary=_glossary(message, glossaries or Glossaries()),
        )
        options.validate(styles)
    except BadOption as error:
        raise BadOption(f"options.{error.field}", f"options.{error}") from None
    return options


def one_of(known: Mapping[K, T], field: str, enum: str, value: K) -> T:
    """What a value of an enum stands for.

    Raises:
        BadOption: Nothing.
    """
    if value not in known:
        raise BadOption(field, f"{field} is {value}: use a value of {enum}, {min(known)} to {max(known)}")
    return known[value]


def _glossary(message: pb.ConvertOptions, glossaries: Glossaries) -> Glossary | None:
    match message.WhichOneof("glossary_source"):
        case "glossary":
            return glossaries.inline(entries_from(message.glossary))
        case "glossary_reference":
            reference = message.glossary_reference
            return glossaries.get(reference.id, reference.version)
    return None


def entries_from(message: pb.Glossary) -> list[GlossaryEntry]:
    """The entries of a glossary, unchecked."""
    return [
        GlossaryEntry(
            hangul=entry.hangul,
            hanja=entry.hanja,
            keep=entry.keep,
            allow_any_reading=entry.allow_any_reading,
        )
        for entry in message.entries
    ]


def glossary_message(glossary: Glossary) -> pb.Glossary:
    """A glossary as a message."""
    return pb.Glossary(
        entries=[
            pb.GlossaryEntry(
                hangul=entry.hangul,
                hanja=entry.hanja,
                keep=entry.keep,
                allow_any_reading=entry.allow_any_reading,
            )
            for entry in glossary.entries
        ]
    )


def glossary_info(name: str, glossary: Glossary) -> pb.GlossaryInfo:
    """What a glossary is, without its entries."""
    return pb.GlossaryInfo(id=name, version=glossary.version, entries=len(glossary))


def convert_response(conversion: Conversion) -> pb.ConvertResponse:
    """The answer to Convert."""
    response = pb.ConvertResponse()
    _fill(response.conversion, conversion)
    return response


def batch_response(outcomes: Iterable[Conversion | HanjaserveError]) -> pb.BatchConvertResponse:
    """The answer to BatchConvert: what became of each of its texts."""
    response = pb.BatchConvertResponse()
    add = response.results.add
    for outcome in outcomes:
        _fill_result(add(), outcome)
    return response


class StreamMessages:
    """Joins results of a stream into messages of about `message_bytes`; a larger one goes alone.

    Every result is written where it is sent from: to build it elsewhere and copy it costs as much again.

    Attributes:
        finished: The messages so far.
        items: How many results are in them.
        size: Their bytes.
    """

    def __init__(self, message_bytes: int) -> None:
        self.finished: list[pb.StreamConvertResponse] = []
        self.items = 0
        self.size = 0
        self._message_bytes = message_bytes
        self._left = 0

    def add(self, item_id: int, outcome: Conversion | HanjaserveError) -> None:
        """Add what became of one text."""
        if self._left <= 0:
            self.finished.append(pb.StreamConvertResponse())
            self._left = self._message_bytes
        result = self.finished[-1].results.add(id=item_id)
        _fill_result(result, outcome)
        size = result.ByteSize()
        self.items += 1
        self.size += size
        self._left -= size


def _fill_result(target: pb.ItemResult | pb.StreamResult, outcome: Conversion | HanjaserveError) -> None:
    if isinstance(outcome, HanjaserveError):
        target.error.CopyFrom(status_of(outcome))
    else:
        _fill(target.conversion, outcome)


def _fill(target: pb.Conversion, conversion: Conversion) -> None:
    """Write a conversion; its spans are empty unless the options asked for them."""
    # Even an empty text makes the conversion present, and so the outcome of its oneof.
    target.text = conversion.text
    if conversion.spans:
        fill_spans(target.spans, conversion.spans)


def fill_spans(target: Any, spans: Iterable[Span], places: Sequence[int] | None = None) -> None:
    """Write spans.

    Args:
        target: A repeated field of `pb.Span`.
        spans: Offsets in code points.
        places: What those become; None leaves them as they are.
    """
    for start, end, hangul, hanja, score, alternatives, source in spans:
        added = target.add(
            start=places[start] if places else start,
            end=places[end] if places else end,
            hangul=hangul,
            hanja=hanja,
            score=score,
            source=SOURCES[source],
        )
        for other in alternatives:
            added.alternatives.add(hanja=other.hanja, score=other.score)
