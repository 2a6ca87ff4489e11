"""Cut the texts of a call into jobs of bounded size, and put their results together again.

    texts -> jobs: short texts together, a long one in pieces -> candidates -> Assembly -> results

A job is what is encoded, run and decoded in one go, so that neither memory nor the time between two
turns of the event loop grows with the length of a text. A long text is cut into pieces at windows
that begin or end with white space, which no word goes across. Where there is none for very long, a
piece ends anyway, and so does the word that goes on there.

Pure: runs nothing and waits for nothing. The converters bring candidates.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, cast

from hanjaserve.server.codec import Codec, Decoded, Window
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.labels import LabelTable
from hanjaserve.server.options import Options, Rendering
from hanjaserve.server.rendering import render
from hanjaserve.server.shapes import Int32
from hanjaserve.server.spans import Span, chosen_units, spans_from

JOB_TOKENS = 8_192
"""Tokens after which a job is full: a few milliseconds of work for a CPU core."""
PATIENCE = 4
"""A piece ends in the middle of a word if it has become as many jobs long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted text.

    Attributes:
        text: As the options render it.
        spans: Its words, with offsets into the input; empty if the options ask for none.
    """

    text: str
    spans: tuple[Span, ...] = ()


class Piece(NamedTuple):
    """A text, or part of a long one; a tuple, like `Window`, to be made quickly.

    Attributes:
        number: Which text of the call.
        text: The piece itself.
        start: Where it begins in the text.
        windows: Its windows, which count from the beginning of the whole text.
        is_last: It ends its text.
    """

    number: int
    text: str
    start: int
    windows: list[Window]
    is_last: bool


Job = list[Piece]
Bounds = tuple[int, int]
Outcome = Int32 | HanjaserveError
Result = tuple[int, Conversion | HanjaserveError]


def arrays_of(job: Job) -> list[Int32]:
    """What the engine must run for a job."""
    return [window.tokens for piece in job for window in piece.windows]


def jobs(
    codec: Codec, texts: Iterable[tuple[int, str]], style: str, job_tokens: int = JOB_TOKENS
) -> Iterator[Job]:
    """Encode numbered texts into jobs, lazily and in order.

    Args:
        codec: Encodes them.
        texts: (index, text); taken only as jobs are asked for.
        style: One of the bundle's styles.
        job_tokens: When a job is full.
    """
    group: list[tuple[int, str]] = []
    size = 0
    for index, text in texts:
        if group and size + len(text) > job_tokens:
            yield _short_texts(codec, group, style)
            group, size = [], 0
        if len(text) > job_tokens:
            yield from _pieces(codec, index, text, style, job_tokens)
        else:
            group.append((index, text))
            # Empty texts cost something, too.
            size += len(text) + 1
    if group:
        yield _short_texts(codec, group, style)


def _short_texts(codec: Codec, group: Sequence[tuple[int, str]], style: str) -> Job:
    encoded = codec.encode([text for _, text in group], style)
    return [
        Piece(number=index, text=text, start=0, windows=windows, is_last=True)
        for (index, text), windows in zip(group, encoded, strict=True)
    ]


def _pieces(codec: Codec, index: int, text: str, style: str, job_tokens: int) -> Iterator[Job]:
    windows: list[Window] = []
    start = tokens = 0
    for window in codec.iter_windows(text, style):
        windows.append(window)
        tokens += len(window.tokens)
        stop = window.stop
        full = tokens >= job_tokens and stop < len(text)
        if full and (_is_apart(text, stop) or tokens >= PATIENCE * job_tokens):
            piece = text[start:stop]
            yield [Piece(number=index, text=piece, start=start, windows=windows, is_last=False)]
            windows, start, tokens = [], stop, 0
    yield [Piece(number=index, text=text[start:], start=start, windows=windows, is_last=True)]


def _is_apart(text: str, position: int) -> bool:
    """Whether no word goes across a position inside the text."""
    return text[position - 1].isspace() or text[position].isspace()


@dataclass(slots=True)
class _Partial:
    """What there is of a text so far."""

    texts: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    fault: HanjaserveError | None = None


class Assembly:
    """Makes results of candidates. Jobs must come in order."""

    def __init__(self, codec: Codec, labels: LabelTable, options: Options) -> None:
        self._codec = codec
        self._labels = labels
        self._options = options
        self._partials: dict[int, _Partial] = {}
        # Without words and their scores, a whole job is decoded in one go.
        self._plain = (
            options.rendering is Rendering.HANJA
            and not options.with_spans
            and not options.first_occurrence_only
        )

    def finish(self, job: Job, outcomes: Sequence[Outcome]) -> list[Result]:
        """Decode a job.

        Args:
            job: From `jobs`.
            outcomes: Candidates int32 [tokens, k] or a fault for each of `arrays_of(job)`.

        Returns:
            The texts that are complete now.
        """
        if self._plain and all([piece.is_last and piece.start == 0 for piece in job]):
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
        if self._plain:
            for piece, text in zip(good, self._convert_plain(good, candidates), strict=True):
                self._partials[piece.number].texts.append(text)
            return
        joined, bounds = _joined(good)
        decoded = self._decode(joined, bounds, good, candidates)
        first = 0
        for piece, (begin, _) in zip(good, bounds, strict=True):
            last = first + sum([window.units for window in piece.windows])
            self._render(piece, decoded.part(first, last, begin))
            first = last

    def _convert_plain(self, pieces: Sequence[Piece], candidates: Sequence[Int32]) -> list[str]:
        """Convert all pieces at once."""
        joined, bounds = _joined(pieces)
        decoded = self._decode(joined, bounds, pieces, candidates)
        return self._codec.replace(joined, decoded, chosen_units(decoded, self._options.min_score), bounds)

    def _decode(
        self, joined: str, bounds: Sequence[Bounds], pieces: Sequence[Piece], candidates: Sequence[Int32]
    ) -> Decoded:
        windows = [window for piece in pieces for window in piece.windows]
        origins = []
        for piece, (begin, _) in zip(pieces, bounds, strict=True):
            origins += [begin - piece.start] * len(piece.windows)
        return self._codec.decode(joined, windows, candidates, origins)

    def _render(self, piece: Piece, decoded: Decoded) -> None:
        partial = self._partials[piece.number]
        spans = spans_from(decoded, piece.text, self._labels, self._options, seen=partial.seen)
        partial.texts.append(render(piece.text, spans, self._options.rendering))
        if self._options.with_spans:
            partial.spans += [_shifted(span, piece.start) for span in spans]

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


def _shifted(span: Span, by: int) -> Span:
    if by == 0:
        return span
    return Span(
        start=span.start + by,
        end=span.end + by,
        hangul=span.hangul,
        hanja=span.hanja,
        score=span.score,
        alternatives=span.alternatives,
    )
