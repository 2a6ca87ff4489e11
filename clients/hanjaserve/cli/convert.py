"""`hanjaserve convert`: texts, standard input or a file, line by line.

    hanjaserve convert "대한민국의 수도는 서울이다"
    hanjaserve convert -i in.txt -o out.txt
    tail -f log.txt | hanjaserve convert --json --alternatives 3

One text or line in, one line out, in order and with its line end. Memory does not grow with the
input. A line that cannot be converted ends the command, and an output file stays as it was.
"""

import argparse
import io
import json
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from hanjaserve.cli.engines import Engine, add_engine_arguments, open_engine
from hanjaserve.cli.errors import FAILED, OK, USAGE, CliError
from hanjaserve.cli.interruption import Leftovers, run_interruptibly
from hanjaserve.cli.lines import Line, atomic_output, read_lines
from hanjaserve.cli.wishes import add_option_arguments, options_of
from hanjaserve.client import Conversion, ConvertOptions, ItemError

STDIN = "standard input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where the lines come from.

    Attributes:
        chunks: The lines, in groups of those that are there at once.
        name: For messages.
        unit: What one line is called in messages.
        size: Bytes in all when known.
        live: Whether someone may be waiting for the answer to a line before sending the next.
    """

    chunks: Iterable[list[Line]]
    name: str
    unit: str = "line"
    size: int | None = None
    live: bool = False


class Progress(Protocol):
    """Counts bytes."""

    def update(self, n: int, /) -> object:
        """Count more of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a text; none reads lines")
    parser.add_argument("-i", "--input", metavar="FILE", help="read lines from a file; - is standard input")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file, which appears when complete")
    add_option_arguments(parser)
    parser.add_argument(
        "--first-only", action="store_true", help="convert a word once per line, the first time"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line, with the converted words"
    )
    parser.add_argument(
        "--alternatives", type=int, default=0, metavar="N", help="with --json: others per word"
    )
    parser.add_argument(
        "--kept", action="store_true", help="with --json: the text between words as well"
    )
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    return run_interruptibly(partial(_run, arguments, _options(arguments)))


def _run(arguments: argparse.Namespace, options: ConvertOptions, leftovers: Leftovers) -> int:
    with ExitStack() as stack:
        source = stack.enter_context(_open_input(arguments))
        engine = stack.enter_context(open_engine(arguments))
        progress = stack.enter_context(_progress(source, leftovers))
        output: IO[bytes] = sys.stdout.buffer
        if arguments.output not in (None, "-"):
            output = stack.enter_context(atomic_output(Path(arguments.output), leftovers))
        render = _json_line if arguments.json else _text_line
        for text in _convert(engine, source, options, render, progress):
            output.write(text.encode())
            if source.live:
                output.flush()
        output.flush()
    return OK


def _options(arguments: argparse.Namespace) -> ConvertOptions:
    if arguments.text and arguments.input is not None:
        raise CliError("give texts or -i FILE, not both", USAGE)
    if arguments.alternatives and not arguments.json:
        raise CliError("--alternatives needs --json", USAGE)
    if arguments.kept and not arguments.json:
        raise CliError("--kept needs --json", USAGE)
    return options_of(
        arguments,
        alternatives=arguments.alternatives,
        with_spans=arguments.json,
        with_kept=arguments.kept,
        first_only=arguments.first_only,
    )


@contextmanager
def _open_input(arguments: argparse.Namespace) -> Iterator[Input]:
    if arguments.text:
        for number, text in enumerate(arguments.text, start=1):
            # Python decodes arguments leniently; what it could not read cannot be written either.
            if not text.isascii() and text != text.encode(errors="ignore").decode():
                raise CliError(f"text {number} is not UTF-8; check the locale of the terminal", USAGE)
        lines = [Line(text=text, ending="\n", size=0) for text in arguments.text]
        yield Input(chunks=[lines], name="arguments", unit="text")
    elif arguments.input in (None, "-"):
        # Unbuffered: a thread may still wait for input at exit, and must hold no lock then.
        with io.FileIO(sys.stdin.fileno(), closefd=False) as source:
            live = _size(source) is None
            yield Input(chunks=read_lines(source, STDIN), name=STDIN, live=live)
    else:
        try:
            file = io.FileIO(arguments.input)
        except OSError as error:
            message = f"cannot read {arguments.input}: {error.strerror}"
            raise CliError(message, USAGE) from error
        with file:
            yield Input(
                chunks=read_lines(file, arguments.input),
                name=arguments.input,
                size=_size(file),
            )


def _size(file: io.FileIO) -> int | None:
    """Bytes of a regular file, None for anything else."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _progress(source: Input, leftovers: Leftovers) -> Iterator[Progress | None]:
    if source.size is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bar = partial(tqdm, total=source.size, unit="B", unit_scale=True, file=sys.stderr)
    with leftovers.holding(bar, tqdm.close) as shown:
        yield shown


def _convert(
    engine: Engine,
    source: Input,
    options: ConvertOptions,
    render: Callable[[Conversion, Line], str],
    progress: Progress | None,
) -> Iterator[str]:
    # The engine reads ahead, perhaps in another thread; what it has read waits here for its result.
    waiting: deque[Line] = deque()

    def texts() -> Iterator[list[str]]:
        for lines in source.chunks:
            waiting.extend(lines)
            yield [line.text for line in lines]

    for number, result in enumerate(engine.convert(texts(), options), start=1):
        line = waiting.popleft()
        if isinstance(result, ItemError):
            raise CliError(f"{source.name}: {source.unit} {number}: {result.message}", FAILED)
        yield render(result, line)
        if progress is not None:
            progress.update(line.size)


def _text_line(conversion: Conversion, line: Line) -> str:
    return conversion.text + line.ending


def _json_line(conversion: Conversion, line: Line) -> str:
    spans = [asdict(span) for span in conversion.spans]
    for span in spans:
        span["score"] = round(span["score"], 6)
        for alternative in span["alternatives"]:
            alternative["score"] = round(alternative["score"], 6)
    return json.dumps({"text": conversion.text, "spans": spans}, ensure_ascii=False) + "\n"
