"""Text in, converted text out: codec, then the engine, then spans and rendering.

`Converter` serves many callers on one event loop; `LocalConverter` does the same in this process without
one. Both go through the same `_finish`, so that results agree.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

from hanjaserve.server.batcher import Priority
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, Window, make_codec
from hanjaserve.server.errors import BadOption, HanjaserveError, InvalidText, TextTooLong
from hanjaserve.server.labels import LabelTable
from hanjaserve.server.rendering import Rendering, render
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.ladder import open_runner
from hanjaserve.server.shapes import Int32, pad, padded_length
from hanjaserve.server.spans import Span, spans_from

MAX_ALTERNATIVES = 8
MAX_TEXT_CODE_POINTS = 1_000_000
# Long texts go to the engine in slices, so that they neither fill the queue nor hold the loop.
SLICE_WINDOWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a text is converted.

    Attributes:
        min_score: words below this probability stay Hangul, 0 to 1.
        max_alternatives: further spellings per word, at most 8.
        first_occurrence_only: convert a word only where it stands first.
        style: the convention of the text, e.g. "modern" or "scripture".
    """

    rendering: Rendering = Rendering.HANJA
    min_score: float = 0.0
    max_alternatives: int = 0
    first_occurrence_only: bool = False
    style: str = "modern"

    def validate(self) -> None:
        """Raises BadOption for a value that has no meaning."""
        if not 0.0 <= self.min_score <= 1.0:
            raise BadOption("min_score", f"min_score is {self.min_score}: use a number from 0 to 1")
        if not 0 <= self.max_alternatives <= MAX_ALTERNATIVES:
            raise BadOption(
                "max_alternatives",
                f"max_alternatives is {self.max_alternatives}: use 0 to {MAX_ALTERNATIVES}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The outcome for one text."""

    text: str
    spans: tuple[Span, ...]


class Engine(Protocol):
    """What runs rows; the pool."""

    async def run(
        self, tokens_list: Sequence[Int32], *, priority: Priority, deadline: float | None
    ) -> list[Int32]:
        """Candidates int32 [n, k] for each row int32 [n]."""


class Converter:
    """Converts for many callers at once."""

    def __init__(
        self, bundle: Bundle, codec: Codec, engine: Engine, *,
        max_text_code_points: int = MAX_TEXT_CODE_POINTS,
    ) -> None:  # fmt: skip
        self._codec = codec
        self._labels = bundle.labels()
        self._engine = engine
        self._limit = max_text_code_points

    async def convert(
        self, text: str, options: Options, *, deadline: float | None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Conversion:  # fmt: skip
        """Converts one text.

        Raises:
            RequestError: the text or an option is at fault. Overloaded, DeadlineExpired, Draining,
            RuntimeFault: as the pool says.
        """
        outcome = (await self.convert_batch([text], options, deadline=deadline, priority=priority))[
            0
        ]
        if isinstance(outcome, HanjaserveError):
            raise outcome
        return outcome

    async def convert_batch(
        self, texts: Sequence[str], options: Options, *, deadline: float | None,
        priority: Priority = Priority.BULK,
    ) -> list[Conversion | HanjaserveError]:  # fmt: skip
        """Converts texts; a text's own fault is returned in its place."""
        options.validate()
        faults = [check_text(text, self._limit) for text in texts]
        good = [text for text, fault in zip(texts, faults, strict=True) if fault is None]
        encoded = self._codec.encode(good, options.style)
        rows = [window.tokens for windows in encoded for window in windows]
        results: list[Int32] = []
        for first in range(0, len(rows), SLICE_WINDOWS * 16):
            part = rows[first : first + SLICE_WINDOWS * 16]
            results += await self._engine.run(part, priority=priority, deadline=deadline)
        outcomes: list[Conversion | HanjaserveError] = []
        remaining, converted = iter(results), zip(good, encoded, strict=True)
        for fault in faults:
            if fault is not None:
                outcomes.append(fault)
                continue
            text, windows = next(converted)
            candidates = list(islice(remaining, len(windows)))
            outcomes.append(_finish(self._codec, self._labels, text, windows, candidates, options))
            if len(windows) > SLICE_WINDOWS:
                await asyncio.sleep(0)
        return outcomes


def check_text(text: str, limit: int) -> HanjaserveError | None:
    """The fault of a text, if it has one."""
    if len(text) > limit:
        return TextTooLong(
            f"the text has {len(text)} code points, the limit is {limit}: send it in parts"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return InvalidText(f"the text holds a lone surrogate at {error.start}: send valid Unicode")
    return None


def _finish(
    codec: Codec, labels: LabelTable, text: str, windows: Sequence[Window],
    candidates: Sequence[Int32], options: Options,
) -> Conversion:  # fmt: skip
    decoded = codec.decode(text, windows, candidates)
    spans = spans_from(decoded, text, labels, options)
    return Conversion(text=render(text, spans, options.rendering), spans=spans)


class LocalConverter:
    """Converts in this process, without a server; used from one thread.

    Example:
        with LocalConverter.open() as local:
            local.convert_batch(["대한민국의 수도는 서울이다"])[0].text
    """

    BATCH_TOKENS = 4096

    def __init__(self, bundle: Bundle, runner: Runner, skipped: Sequence[str] = ()) -> None:
        self.bundle = bundle
        self.runner_name = runner.name
        self.skipped = tuple(skipped)
        self._runner = runner
        self._codec = make_codec(bundle)
        self._labels = bundle.labels()

    @classmethod
    def open(
        cls, bundle_path: str | os.PathLike[str] | None = None, threads: int | None = None,
        runner: str = "auto",
    ) -> "LocalConverter":  # fmt: skip
        """Opens a bundle (None = the default one) with its runner."""
        bundle = Bundle.open(bundle_path if bundle_path is not None else _default_bundle())
        opened, skipped = open_runner(bundle, runner, threads or 0)
        return cls(bundle, opened, skipped)

    def convert_batch(
        self, texts: Sequence[str], options: Options | None = None
    ) -> list[Conversion]:
        """Converts texts; raises the first fault."""
        options = options or Options()
        options.validate()
        for text in texts:
            if fault := check_text(text, MAX_TEXT_CODE_POINTS):
                raise fault
        encoded = self._codec.encode(texts, options.style)
        results = iter(self._run([w.tokens for windows in encoded for w in windows]))
        return [
            _finish(self._codec, self._labels, text, windows,
                    list(islice(results, len(windows))), options)
            for text, windows in zip(texts, encoded, strict=True)
        ]

    def convert_iter(
        self, texts: Iterable[str], options: Options | None = None, group: int = 1024
    ) -> Iterator[Conversion]:
        """Converts any number of texts, holding `group` of them at a time."""
        source = iter(texts)
        while chunk := list(islice(source, group)):
            yield from self.convert_batch(chunk, options)

    def _run(self, rows: Sequence[Int32]) -> list[Int32]:
        """Runs rows of similar length together; results in the order given."""
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        results: list[Int32] = [rows[0]] * len(rows) if rows else []
        first = 0
        while first < len(order):
            last = first + 1
            while (
                last < len(order)
                and padded_length(len(rows[order[last]])) * (last + 1 - first) <= self.BATCH_TOKENS
            ):
                last += 1
            numbers = order[first:last]
            output = self._runner.run(
                pad([rows[n] for n in numbers], self.bundle.manifest.pad_id)
            )
            for row, number in enumerate(numbers):
                results[number] = output[row, : len(rows[number])]
            first = last
        return results

    def close(self) -> None:
        """Frees the runner."""
        self._runner.close()

    def __enter__(self) -> "LocalConverter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


def _default_bundle() -> Path:
    from hanjaserve.models import default_bundle_path

    return default_bundle_path()
