"""Rows of files, in chunks: read by one process, converted and written by another.

A chunk keeps its rows as they stood in the file, so that everything but the new column is written as it was
read. What is wrong with a row is a `Bad` in place of its text; what is wrong with a file is raised.
"""

import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, Protocol, Self, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from hanjaserve.cli.bulk.sources import Source

CHUNK_BYTES = 16 << 20
"""Where a chunk ends that has fewer rows than it may, lest long rows fill the memory."""
MAX_LINE_BYTES = 64 << 20
PARQUET_ROWS = 256
"""Rows that are read at a time."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Bad:
    """Why a row has no text that could be converted; never quotes it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column is read and which is written; text files have but one."""

    text: str
    out: str


class SourceError(Exception):
    """A file is not what its name says; the message says why."""


class Chunk(Protocol):
    """Rows that follow each other in a file. Can be pickled.

    Attributes:
        first: The number of its first row in the file, from 1.
    """

    @property
    def first(self) -> int:
        """See above."""

    @classmethod
    def read(cls, source: Source, columns: Columns, rows: int) -> Iterator[Self]:
        """Cut a file into chunks of at most so many rows, always in the same way.

        Raises:
            SourceError, OSError, EOFError: It can't be read.
        """

    def texts(self) -> list[object]:
        """What stands in the column of every row: a string, if all is well."""

    def encoded(self, results: Sequence[str | None], *, skip: bool) -> bytes:
        """A file of the rows with their results; those without one as null, or left out."""


@dataclass(frozen=True)
class TextChunk:
    r"""Lines, which only \n ends. Without a result a line is empty."""

    first: int
    lines: list[bytes]
    packing: str

    @classmethod
    def read(cls, source: Source, columns: Columns, rows: int) -> Iterator[Self]:
        """See `Chunk.read`."""
        for first, lines in _line_groups(source, rows):
            yield cls(first, lines, source.packing)

    def texts(self) -> list[object]:
        """See `Chunk.texts`."""
        return [line.decode(errors="surrogateescape") for line in self.lines]

    def encoded(self, results: Sequence[str | None], *, skip: bool) -> bytes:
        """See `Chunk.encoded`."""
        kept = [result or "" for result in results if result is not None or not skip]
        return _packed("".join([f"{line}\n" for line in kept]).encode(), self.packing)


@dataclass(frozen=True)
class JsonChunk:
    """Lines that are JSON objects."""

    first: int
    lines: list[bytes]
    packing: str
    columns: Columns

    @classmethod
    def read(cls, source: Source, columns: Columns, rows: int) -> Iterator[Self]:
        """See `Chunk.read`."""
        for first, lines in _line_groups(source, rows):
            yield cls(first, lines, source.packing, columns)

    @cached_property
    def _objects(self) -> list[dict[str, object] | Bad]:
        return [_json_object(line) for line in self.lines]

    def texts(self) -> list[object]:
        """See `Chunk.texts`."""
        return [self._text(found) for found in self._objects]

    def _text(self, found: dict[str, object] | Bad) -> object:
        text, out = self.columns.text, self.columns.out
        if isinstance(found, Bad):
            return found
        if out != text and out in found:
            return Bad(f"it has a column {out!r} already")
        return found.get(text, Bad(f"it has no column {text!r}"))

    def encoded(self, results: Sequence[str | None], *, skip: bool) -> bytes:
        """See `Chunk.encoded`."""
        lines = []
        for found, result in zip(self._objects, results, strict=True):
            if result is not None or not skip:
                row = {} if isinstance(found, Bad) else found
                lines.append(json.dumps({**row, self.columns.out: result}, ensure_ascii=False) + "\n")
        # JSON may escape half of a character, in any column.
        return _packed("".join(lines).encode(errors="surrogatepass"), self.packing)


@dataclass(frozen=True)
class CsvChunk:
    """Rows of a CSV file whose first line names the columns (RFC 4180)."""

    first: int
    header: list[str]
    rows: list[list[str]]
    packing: str
    columns: Columns

    @classmethod
    def read(cls, source: Source, columns: Columns, rows: int) -> Iterator[Self]:
        """See `Chunk.read`."""
        csv.field_size_limit(MAX_LINE_BYTES)  # of the whole process, a reader's own
        with _opened(source) as file:
            text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(text, strict=True)
            try:
                header = next(reader, [])
                _check_columns(header, columns)
                for first, group in _groups(filter(None, reader), rows, lambda row: sum(map(len, row))):
                    yield cls(first, header, group, source.packing, columns)
            except csv.Error as error:
                raise SourceError(f"line {reader.line_num}: {error}") from None

    def texts(self) -> list[object]:
        """See `Chunk.texts`."""
        at, width = self.header.index(self.columns.text), len(self.header)
        return [
            row[at] if len(row) == width else Bad(f"it has {len(row)} fields, the header has {width}")
            for row in self.rows
        ]

    def encoded(self, results: Sequence[str | None], *, skip: bool) -> bytes:
        """See `Chunk.encoded`."""
        header = list(dict.fromkeys([*self.header, self.columns.out]))
        at = header.index(self.columns.out)
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for row, result in zip(self.rows, results, strict=True):
            if result is not None or not skip:
                writer.writerow([*row[:at], result, *row[at + 1 :]])
        return _packed(text.getvalue().encode(errors="surrogateescape"), self.packing)


@dataclass(frozen=True)
class ParquetChunk:
    """Rows of a Parquet file, with columns of any types."""

    first: int
    table: Any
    columns: Columns

    @classmethod
    def read(cls, source: Source, columns: Columns, rows: int) -> Iterator[Self]:
        """See `Chunk.read`."""
        try:
            with pq.ParquetFile(source.path) as file:
                _check_columns(file.schema_arrow.names, columns)
                batches = file.iter_batches(min(rows, PARQUET_ROWS))
                for first, group in _groups(batches, rows, lambda batch: batch.nbytes, len):
                    yield cls(first, pa.Table.from_batches(group), columns)
        except pa.ArrowException as error:
            raise SourceError(str(error)) from None

    def texts(self) -> list[object]:
        """See `Chunk.texts`."""
        return cast("list[object]", self.table.column(self.columns.text).to_pylist())

    def encoded(self, results: Sequence[str | None], *, skip: bool) -> bytes:
        """See `Chunk.encoded`."""
        table, column, out = self.table, pa.array(results, pa.string()), self.columns.out
        if out in table.column_names:
            table = table.set_column(table.column_names.index(out), out, column)
        else:
            table = table.append_column(out, column)
        if skip:
            table = table.filter(column.is_valid())
        file = io.BytesIO()
        pq.write_table(table, file)
        return file.getvalue()


def chunks(source: Source, columns: Columns, rows: int) -> Iterator[Chunk]:
    """Cut a file into chunks; see `Chunk.read`."""
    kinds: dict[str, type[Chunk]] = {
        "text": TextChunk,
        "jsonl": JsonChunk,
        "csv": CsvChunk,
        "parquet": ParquetChunk,
    }
    return kinds[source.format].read(source, columns, rows)


def _groups(
    items: Iterable[Item],
    rows: int,
    bytes_of: Callable[[Item], int],
    rows_of: Callable[[Item], int] = lambda _: 1,
) -> Iterator[tuple[int, list[Item]]]:
    """Group items up to so many rows or CHUNK_BYTES, each group with the number of its first row."""
    group: list[Item] = []
    first, held_rows, held_bytes = 1, 0, 0
    for item in items:
        if group and (held_rows + rows_of(item) > rows or held_bytes >= CHUNK_BYTES):
            yield first, group
            first, group, held_rows, held_bytes = first + held_rows, [], 0, 0
        group.append(item)
        held_rows += rows_of(item)
        held_bytes += bytes_of(item)
    if group:
        yield first, group


def _line_groups(source: Source, rows: int) -> Iterator[tuple[int, list[bytes]]]:
    with _opened(source) as file:
        yield from _groups(_lines(file), rows, len)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES:
            raise SourceError(f"line {number} is longer than {MAX_LINE_BYTES:,} bytes; is this a text file?")
        yield line.removesuffix(b"\n")


def _opened(source: Source) -> IO[bytes]:
    match source.packing:
        case ".gz":
            return cast("IO[bytes]", gzip.open(source.path, "rb"))
        case ".xz":
            return lzma.open(source.path, "rb")
        case ".zst":
            return cast("IO[bytes]", io.BufferedReader(pa.input_stream(source.path, compression="zstd")))
    return open(source.path, "rb")


def _packed(data: bytes, packing: str) -> bytes:
    match packing:
        case ".gz":
            return gzip.compress(data, mtime=0)  # without the time, lest no two runs are equal
        case ".xz":
            return lzma.compress(data)
        case ".zst":
            return cast("bytes", pa.compress(data, codec="zstd", asbytes=True))
    return data


def _json_object(line: bytes) -> dict[str, object] | Bad:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return Bad("it is not JSON in UTF-8")
    return found if isinstance(found, dict) else Bad("it is JSON, but not an object")


def _check_columns(names: Sequence[str], columns: Columns) -> None:
    if names.count(columns.text) != 1:
        known = ", ".join(names) or "none"
        raise SourceError(f"it has no column {columns.text!r}, or several; the columns are: {known}")
    if columns.out != columns.text and columns.out in names:
        raise SourceError(f"it has a column {columns.out!r} already: choose another --out-column")
