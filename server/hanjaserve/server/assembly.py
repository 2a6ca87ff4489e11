"""Put the results of jobs together: candidates in, converted texts out.

    candidates -> decode -> spans (model, glossary, readings) -> render -> Conversion

Pure, like `segment`, which makes the jobs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, cast

from hanjaserve.server.codec import Codec, Decoded
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.labels import LabelTable
from hanjaserve.server.marks import glossary_spans, reading_spans, with_kept
from hanjaserve.server.options import Options
from hanjaserve.server.rendering import render
from hanjaserve.server.segment import Job, Piece
from hanjaserve.server.shapes import Int32
from hanjaserve.server.spans import Source, Span, chosen_units, spans_of_each, without
from hanjaserve.server.words import Words

Bounds = tuple[int, int]
Outcome = Int32 | HanjaserveError


class Conversion(NamedTuple):
    """A converted text; a tuple, like `Window`, to be made quickly.

    Attributes:
        text: As the options render it.
        spans: Its words, with offsets into the input; empty if the options ask for none.
    """

    text: str
    spans: tuple[Span, ...] = ()


Result = tuple[int, Conversion | HanjaserveError]


@dataclass(slots=True)
class _Partial:
    """What there is of a text so far."""

    texts: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    fault: HanjaserveError | None = None


class Assembly:
    """Makes results of candidates. Jobs must come in order."""

    def __init__(self, codec: Codec, labels: LabelTable, options: Options, *, words: Words) -> None:
        self._codec = codec
        self._labels = labels
        self._options = options
        self._words = words
        self._partials: dict[int, _Partial] = {}

    def finish(self, job: Job, outcomes: Sequence[Outcome]) -> list[Result]:
        """Decode a job.

        Args:
            job: From `jobs`.
            outcomes: Candidates int32 [tokens, k] or a fault for each of `arrays_of(job)`.

        Returns:
            The texts that are complete now.
        """
        # Without words and their scores, a whole job is written in one go.
        if self._options.plain and all([piece.is_last and piece.start + piece.skip == 0 for piece in job]):
            if not any([isinstance(outcome, HanjaserveError) for outcome in outcomes]):
                texts = self._convert_plain(job, cast("Sequence[Int32]", outcomes))
                return [(piece.number, Conversion(text=text)) for piece, text in zip(job, texts, strict=True)]
        good: list[Piece] = []
        found: list[Int32] = []
        remaining = iter(outcomes)
        for piece in job:
            own = [next(remaining) for _ in piece.windows]
            faults = [outcome for outcome in own if isinstance(outcome, HanjaserveError)]
            partial = self._partials.setdefault(piece.number, _Partial())
            partial.fault = partial.fault or next(iter(faults), None)
            if partial.fault is None:
                good.append(piece)
                found += cast("list[Int32]", own)
        self._convert(good, found)
        return [self._result(piece.number) for piece in job if piece.is_last]

    def _convert(self, good: Sequence[Piece], candidates: Sequence[Int32]) -> None:
        """Add what pieces become to what there is of their texts."""
        if self._options.plain:
            for piece, text in zip(good, self._convert_plain(good, candidates), strict=True):
                self._partials[piece.number].texts.append(text)
            return
        joined, bounds = _joined(good)
        decoded = self._decode(joined, bounds, good, candidates)
        words = spans_of_each(decoded, joined, bounds, self._labels, self._options, words=self._words)
        for piece, spans in zip(good, words, strict=True):
            self._write_piece(piece, self._with_others(piece, spans))

    def _convert_plain(self, pieces: Sequence[Piece], candidates: Sequence[Int32]) -> list[str]:
        """Convert all pieces at once."""
        joined, bounds = _joined(pieces)
        decoded = self._decode(joined, bounds, pieces, candidates)
        chosen = chosen_units(decoded, self._labels, self._words, self._options.min_score)
        own = [(begin + piece.skip, end) for piece, (begin, end) in zip(pieces, bounds, strict=True)]
        return self._codec.replace(joined, decoded, chosen, own)

    def _decode(
        self, joined: str, bounds: Sequence[Bounds], pieces: Sequence[Piece], candidates: Sequence[Int32]
    ) -> Decoded:
        """Units of all pieces; kept where something else than the model has decided."""
        windows = [window for piece in pieces for window in piece.windows]
        origins: list[int] = []
        decided: list[Bounds] = []
        for piece, (begin, _) in zip(pieces, bounds, strict=True):
            if piece.windows:  # an empty text has none
                origins += [begin - piece.windows[0].start] * len(piece.windows)
            if piece.skip:
                decided.append((begin, begin + piece.skip))
            if piece.matches:
                decided += [(begin + match.start, begin + match.end) for match in piece.matches]
        decoded = self._codec.decode(joined, windows, candidates, origins)
        return without(decoded, decided) if decided else decoded

    def _write_piece(self, piece: Piece, spans: Iterable[Span]) -> None:
        partial, options = self._partials[piece.number], self._options
        if options.first_occurrence_only:
            spans = _first_occurrences(spans, partial.seen)
        if options.with_kept:
            spans = with_kept(piece.text, piece.skip, spans)
        spans = list(spans)
        partial.texts.append(render(piece.text, spans, options.rendering, piece.skip))
        if options.with_spans:
            partial.spans += spans if piece.start == 0 else [_shifted(span, piece.start) for span in spans]

    def _with_others(self, piece: Piece, spans: list[Span]) -> list[Span]:
        """The model's words and those that others decide."""
        if not piece.matches and not self._options.reads_hanja:
            return spans
        found = [*spans, *glossary_spans(piece.text, piece.matches)]
        if self._options.reads_hanja:
            found += reading_spans(piece.text, piece.skip, piece.matches, self._words)
        return sorted(found, key=attrgetter("start"))

    def _result(self, index: int) -> Result:
        partial = self._partials.pop(index)
        if partial.fault is not None:
            return index, partial.fault
        return index, Conversion(text="".join(partial.texts), spans=tuple(partial.spans))


def _joined(pieces: Sequence[Piece]) -> tuple[str, list[Bounds]]:
    """All pieces as one text, joined by line feeds so that no word spans two, and where each is in it."""
    lengths = [len(piece.text) for piece in pieces]
    begins = accumulate(lengths, lambda begin, length: begin + length + 1, initial=0)
    bounds = [(begin, begin + length) for begin, length in zip(begins, lengths, strict=False)]
    return "\n".join([piece.text for piece in pieces]), bounds


def _first_occurrences(spans: Iterable[Span], seen: set[tuple[str, str]]) -> Iterator[Span]:
    """Leave out words that have occurred; what stands in Hanja is no conversion and goes on."""
    for span in spans:
        word = (span.hangul, span.hanja)
        if span.source is not Source.READING and word in seen:
            continue
        seen.add(word)
        yield span


def _shifted(span: Span, by: int) -> Span:
    return span._replace(start=span.start + by, end=span.end + by)
