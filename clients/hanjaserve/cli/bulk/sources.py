"""The files that are to be converted, and the names of what they become.

    in/news/2024.jsonl.gz  ->  out/news/2024-000000.jsonl.gz, out/news/2024-000001.jsonl.gz ...

Format and compression are told by the name, and are those of the output as well.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.cli.errors import USAGE, CliError

FORMATS = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".txt": "text",
}
PACKINGS = (".gz", ".xz", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of the input.

    Attributes:
        path: Where it is.
        stem: What the names of its parts begin with, relative to the output folder.
        suffix: What they end with, such as ".jsonl.gz".
    """

    path: str
    stem: str
    suffix: str

    @property
    def format(self) -> str:
        """One of "parquet", "jsonl", "csv" and "text"."""
        return FORMATS["." + self.suffix.split(".")[1]]

    @property
    def packing(self) -> str:
        """How it is compressed: ".gz", ".xz", ".zst", or "" for not at all."""
        return next((packing for packing in PACKINGS if self.suffix.endswith(packing)), "")

    def part_name(self, number: int) -> str:
        """The name of its part `number`, relative to the output folder."""
        return f"{self.stem}-{number:06d}{self.suffix}"

    def state(self) -> dict[str, object]:
        """By what a change of the file shows."""
        found = os.stat(self.path)
        return {
            "path": self.path,
            "stem": self.stem,
            "suffix": self.suffix,
            "bytes": found.st_size,
            "modified_ns": found.st_mtime_ns,
        }


def find_sources(inputs: Sequence[Path], output: Path) -> list[Source]:
    """List the files; of a folder, all that have a known name, in the order of their names.

    Args:
        inputs: Files and folders.
        output: The output folder; what is in it does not count.

    Raises:
        CliError: There are none, one has no known format, or two would get the same name.
    """
    sources: dict[str, Source] = {}
    for given in inputs:
        for path, name in _files(given):
            # What an earlier run has written below the input is no input.
            if path.resolve().is_relative_to(output.resolve()):
                continue
            suffix = _suffix(name)
            source = Source(path=str(path.resolve()), stem=name[: -len(suffix)], suffix=suffix)
            other = sources.setdefault(name, source)
            if other.path != source.path:
                raise CliError(f"{other.path} and {path} would both become {name}: convert them apart", USAGE)
    if not sources:
        named = ", ".join(map(str, inputs))
        raise CliError(f"no files of a known format in {named}, outside of the output: {_known()}", USAGE)
    return list(sources.values())


def _files(given: Path) -> Iterator[tuple[Path, str]]:
    """Files below a path, with their names relative to it."""
    if given.is_dir():
        for path in sorted(given.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(given).parts)
            if path.is_file() and not hidden and _suffix(path.name):
                yield path, str(path.relative_to(given))
    elif not given.is_file():
        raise CliError(f"cannot read {given}: there is no such file or folder", USAGE)
    elif not _suffix(given.name):
        raise CliError(f"{given} has no known format: use {_known()}", USAGE)
    else:
        yield given, given.name


def _suffix(name: str) -> str:
    packing = next((packing for packing in PACKINGS if name.endswith(packing)), "")
    bare = name.removesuffix(packing)
    known = next((suffix for suffix in FORMATS if bare.endswith(suffix)), "")
    return "" if not known or (packing and known == ".parquet") else known + packing


def _known() -> str:
    return f"{', '.join(FORMATS)}; all but Parquet also as {', '.join(PACKINGS)}"
