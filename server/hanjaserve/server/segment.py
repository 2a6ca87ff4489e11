"""Cut the texts of a call into jobs of bounded size.

    texts -> jobs: short texts together, a long one in pieces -> candidates -> assembly -> results

A job is what is encoded, run and decoded in one go, so that neither memory nor the time between two
turns of the event loop grows with the length of a text. A long text is cut into pieces at windows
that begin or end with white space, which no word goes across. Where there is none for very long, a
piece ends anyway, and so does the word that goes on there; a word of a glossary stays whole.

Pure: runs nothing and waits for nothing. The converters bring candidates.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hanjaserve.server.codec import Codec, Window
from hanjaserve.server.glossary import Match
from hanjaserve.server.options import Options
from hanjaserve.server.shapes import Int32

JOB_TOKENS = 8_192
"""Tokens after which a job is full: a few milliseconds of work for a CPU core."""
PATIENCE = 4
"""A piece ends in the middle of a word if it has become as many jobs long."""


class Text(NamedTuple):
    """A text of a call.

    Attributes:
        number: Which one.
        text: The text, its context first.
        skip: How many code points at its beginning are context: seen by the model, not converted.
    """

    number: int
    text: str
    skip: int = 0


class Piece(NamedTuple):
    """A text, or part of a long one; a tuple, like `Window`, to be made quickly.

    Attributes:
        number: Which text of the call.
        text: The piece itself, from its first window on.
        start: Where `text` begins in the text of the call, whose context does not count.
        skip: How many code points at the beginning of `text` are not converted: context, or the end
            of a glossary's word that belongs to the piece before.
        matches: Words of the glossary in it.
        windows: Its windows, which count from the beginning of the context.
        is_last: It ends its text.
    """

    number: int
    text: str
    start: int
    skip: int
    matches: tuple[Match, ...]
    windows: list[Window]
    is_last: bool


Job = list[Piece]


def arrays_of(job: Job) -> list[Int32]:
    """What the engine must run for a job."""
    return [window.tokens for piece in job for window in piece.windows]


def fit_one_job(texts: Iterable[str], job_tokens: int = JOB_TOKENS) -> bool:
    """Whether `jobs` makes no more than one job of them."""
    return sum([len(text) + 1 for text in texts]) <= job_tokens


def jobs(
    codec: Codec, texts: Iterable[Text], options: Options, job_tokens: int = JOB_TOKENS
) -> Iterator[Job]:
    """Encode texts into jobs, lazily and in order.

    Args:
        codec: Encodes them.
        texts: Taken only as jobs are asked for.
        options: Style and glossary are looked at.
        job_tokens: When a job is full.
    """
    group: list[Text] = []
    size = 0
    for text in texts:
        if group and size + len(text.text) > job_tokens:
            yield _short_texts(codec, group, options)
            group, size = [], 0
        if len(text.text) > job_tokens:
            yield from _pieces(codec, text, options, job_tokens)
        else:
            group.append(text)
            # Empty texts cost something, too.
            size += len(text.text) + 1
    if group:
        yield _short_texts(codec, group, options)


def _short_texts(codec: Codec, group: Sequence[Text], options: Options) -> Job:
    encoded = codec.encode([text.text for text in group], options.style)
    if options.glossary is None:
        return [
            Piece(number, text, -skip, skip, (), windows, True)
            for (number, text, skip), windows in zip(group, encoded, strict=True)
        ]
    return [
        _piece(text, options, windows, first=0, begin=text.skip, stop=len(text.text))
        for text, windows in zip(group, encoded, strict=True)
    ]


def _pieces(codec: Codec, text: Text, options: Options, job_tokens: int) -> Iterator[Job]:
    windows: list[Window] = []
    first = tokens = 0
    begin = text.skip
    for window in codec.iter_windows(text.text, options.style):
        windows.append(window)
        tokens += len(window.tokens)
        stop = window.stop
        full = tokens >= job_tokens and stop < len(text.text)
        if full and (_is_apart(text.text, stop) or tokens >= PATIENCE * job_tokens):
            piece = _piece(text, options, windows, first=first, begin=begin, stop=stop)
            yield [piece]
            # A word of the glossary may have taken some of the next window.
            begin = first + len(piece.text)
            windows, first, tokens = [], stop, 0
    yield [_piece(text, options, windows, first=first, begin=begin, stop=len(text.text))]


def _piece(
    text: Text, options: Options, windows: list[Window], *, first: int, begin: int, stop: int
) -> Piece:
    """A piece with the windows [first, stop) that converts from `begin` on."""
    end = max(begin, stop)
    matches: list[Match] = []
    if options.glossary is not None:
        for match in options.glossary.find(text.text, begin, stop):
            end = max(end, match.end)
            matches.append(Match(start=match.start - first, end=match.end - first, hanja=match.hanja))
    return Piece(
        number=text.number,
        text=text.text[first:end],
        start=first - text.skip,
        skip=begin - first,
        matches=tuple(matches),
        windows=windows,
        is_last=stop == len(text.text),
    )


def _is_apart(text: str, position: int) -> bool:
    """Whether no word goes across a position inside the text."""
    return text[position - 1].isspace() or text[position].isspace()
