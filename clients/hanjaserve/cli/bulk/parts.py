"""From a chunk of rows to a finished part of the output.

A part appears, complete, under its name or not at all. Made anew, it is the same again.
"""

import lzma
import os
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hanjaserve.cli.bulk.formats import Bad, Chunk, Columns, SourceError, chunks
from hanjaserve.cli.bulk.sources import Source
from hanjaserve.cli.engines import LocalEngine
from hanjaserve.cli.errors import CliError
from hanjaserve.cli.interruption import Leftovers
from hanjaserve.cli.lines import atomic_output
from hanjaserve.client import ConvertOptions, ItemError
from hanjaserve.server.converter import MAX_TEXT_CODE_POINTS
from hanjaserve.server.errors import HanjaserveError
from hanjaserve.server.local import LocalConverter

FAIL, SKIP, NULL = "fail", "skip", "null"
"""What becomes of a bad row: an end to everything, nothing, or a row with null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all parts have in common. Can be pickled.

    Attributes:
        bundle: The folder of the model.
        revision: Its content hash, lest a worker elsewhere finds another one there.
        runner: What computes, or "auto".
        options: How to convert.
        columns: Which column is read and which is written.
        on_error: FAIL, SKIP or NULL.
        part_rows: The most rows of a part.
        output: The output folder.
    """

    bundle: str
    revision: str
    runner: str
    options: ConvertOptions
    columns: Columns
    on_error: str
    part_rows: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a reader hands to a worker: rows, or why there are none."""

    name: str
    path: str
    chunk: Chunk | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a part.

    Attributes:
        name: Its file, relative to the output folder.
        path: The file that its rows are from.
        rows: How many it has, bad ones included.
        bad: Number in the file, from 1, and reason of each bad row.
        fault: Why nothing was written; empty if all is well.
    """

    name: str
    path: str
    rows: int = 0
    bad: tuple[tuple[int, str], ...] = ()
    fault: str = ""


def read_parts(source: Source, task: Task, finished: Collection[str]) -> Iterator[Part]:
    """Read a file, but for the parts that are finished. A file that can't be read ends with a fault."""
    try:
        for number, chunk in enumerate(chunks(source, task.columns, task.part_rows)):
            if (name := source.part_name(number)) not in finished:
                yield Part(name=name, path=source.path, chunk=chunk)
    except (SourceError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        yield Part(name="", path=source.path, fault=str(error))


class PartConverter:
    """Converts parts, one after the other, in one process."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def finish(self, part: Part) -> Report:
        """Convert and write a part; whatever goes wrong is in the report."""
        if part.chunk is None:
            return Report(name=part.name, path=part.path, fault=f"{part.path}: {part.fault}")
        try:
            return self._finish(part, part.chunk)
        except (CliError, HanjaserveError, OSError) as error:
            return Report(name=part.name, path=part.path, fault=f"{part.name}: {error}")

    def _finish(self, part: Part, chunk: Chunk) -> Report:
        results = self._converted([_checked(text) for text in chunk.texts()])
        bad = tuple(
            (number, result.reason)
            for number, result in enumerate(results, start=chunk.first)
            if isinstance(result, Bad)
        )
        if not bad or self._task.on_error != FAIL:
            texts = [None if isinstance(result, Bad) else result for result in results]
            self._write(part.name, chunk.encoded(texts, skip=self._task.on_error == SKIP))
        return Report(name=part.name, path=part.path, rows=len(results), bad=bad)

    def _converted(self, texts: list[str | Bad]) -> list[str | Bad]:
        good = [text for text in texts if isinstance(text, str)]
        found = iter(self._engine.convert([good], self._task.options))
        results: list[str | Bad] = []
        for text in texts:
            result = text if isinstance(text, Bad) else next(found)
            if isinstance(result, ItemError):
                result = Bad(result.message)
            results.append(result if isinstance(result, Bad) else result.text)
        return results

    @cached_property
    def _engine(self) -> LocalEngine:
        # As many processes as there are cores, each with one thread.
        local = LocalConverter.open(self._task.bundle, 1, runner=self._task.runner)
        found = local.bundle.manifest.revision
        if found != self._task.revision:
            raise CliError(f"the model here is {found}, the others have {self._task.revision}")
        return LocalEngine(local)

    def _write(self, name: str, data: bytes) -> None:
        path = Path(self._task.output, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever kills this process runs the command again, which removes what is left then.
        with atomic_output(path, Leftovers()) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _checked(value: object) -> str | Bad:
    """A text that can be converted and written."""
    if isinstance(value, Bad):
        return value
    if not isinstance(value, str):
        return Bad("the text is null" if value is None else f"it is no text, but {type(value).__name__}")
    if len(value) > MAX_TEXT_CODE_POINTS:
        return Bad(f"the text has {len(value)} code points, the limit is {MAX_TEXT_CODE_POINTS}")
    try:
        value.encode()
    except UnicodeEncodeError:
        return Bad("the text is not UTF-8")
    return value
