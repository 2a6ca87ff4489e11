"""What is finished of which work: kept in the output folder, so that a killed run can go on.

    manifest.json    the model, the options, the files; at the end, the parts and what is in them as well
    journal.jsonl    while it runs: one line per finished part, written after the part itself
    bad_rows.jsonl   at the end: file, row and reason of the rows that could not be converted

A part without its line is made again, to the same bytes, so every row is in the output exactly once. Work
goes on only with the same model, options, files and versions; what becomes of bad rows may change.
"""

import fcntl
import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from hanjaserve.cli.bulk.parts import Report
from hanjaserve.cli.bulk.sources import Source
from hanjaserve.cli.errors import USAGE, CliError
from hanjaserve.cli.interruption import Leftovers
from hanjaserve.cli.lines import atomic_output

MANIFEST, JOURNAL, BAD_ROWS = "manifest.json", "journal.jsonl", "bad_rows.jsonl"
FORMAT = "hanjaserve bulk 1"


class Ledger:
    """The record of one piece of work; see `opened`.

    Attributes:
        reports: Those of the finished parts, by name.
        complete: Whether these are all.
    """

    def __init__(self, output: Path, manifest: Mapping[str, object], leftovers: Leftovers) -> None:
        self.reports: dict[str, Report] = {}
        self.complete = False
        self._output = output
        self._manifest = manifest
        self._leftovers = leftovers
        self._journal: IO[str] | None = None

    @property
    def rows(self) -> int:
        """Rows of finished parts."""
        return sum(report.rows for report in self.reports.values())

    @property
    def bad_rows(self) -> list[tuple[str, int, str]]:
        """File, number and reason of each bad row, in order."""
        return sorted((found.path, row, why) for found in self.reports.values() for row, why in found.bad)

    def record(self, report: Report) -> None:
        """Note that a part is finished."""
        assert self._journal is not None
        self.reports[report.name] = report
        self._journal.write(_line(report))
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def finish(self) -> None:
        """Note that everything is."""
        keys = ("file", "row", "reason")
        lines = [json.dumps(dict(zip(keys, bad, strict=True))) + "\n" for bad in self.bad_rows]
        if lines:
            self._write(BAD_ROWS, "".join(lines))
        else:
            (self._output / BAD_ROWS).unlink(missing_ok=True)
        parts = [asdict(self.reports[name]) for name in sorted(self.reports)]
        self._write(MANIFEST, _pretty({**self._manifest, "parts": parts}))
        (self._output / JOURNAL).unlink()
        self.complete = True

    def begin(self) -> None:
        """Forget all."""
        self._write(MANIFEST, _pretty(self._manifest))
        self._write_journal()

    def resume(self, earlier: Mapping[str, Any]) -> None:
        """Go on from an earlier manifest of the same work.

        Raises:
            CliError: It is another work.
        """
        given = {key: value for key, value in earlier.items() if key not in ("parts", "on_error")}
        own = {key: value for key, value in self._manifest.items() if key != "on_error"}
        if differences := list(_differences(given, own)):
            raise CliError(
                f"{self._output} holds other work: {'; '.join(differences)}. Choose another folder, or "
                "--restart to remove what is there",
                USAGE,
            )
        reports = map(_report, earlier["parts"]) if "parts" in earlier else self._read_journal()
        same_fate = earlier["on_error"] == self._manifest["on_error"]
        self.reports = {report.name: report for report in reports if same_fate or not report.bad}
        self.complete = "parts" in earlier and len(self.reports) == len(earlier["parts"])
        if not self.complete:
            self.begin()

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _read_journal(self) -> Iterator[Report]:
        for line in (self._output / JOURNAL).read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):  # else the process was killed while it wrote
                yield _report(json.loads(line))

    def _write_journal(self) -> None:
        """Write the journal anew, and keep it open for what comes."""
        self._write(JOURNAL, "".join(map(_line, self.reports.values())))
        self._journal = (self._output / JOURNAL).open("a", encoding="utf-8")

    def _write(self, name: str, text: str) -> None:
        with atomic_output(self._output / name, self._leftovers) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def opened(
    output: Path,
    work: Mapping[str, object],
    sources: Sequence[Source],
    leftovers: Leftovers,
    *,
    on_error: str,
    restart: bool,
) -> Iterator[Ledger]:
    """Open the record of an output folder, or begin it, and keep others out meanwhile.

    Args:
        output: The folder; made if need be.
        work: All that the output depends on, as JSON can hold it.
        sources: The files.
        leftovers: Keeps half-written files, should a signal end the process meanwhile.
        on_error: What becomes of bad rows.
        restart: Remove what an earlier run has left.

    Raises:
        CliError: The folder holds something else, or can't be written.
    """
    files = [source.state() for source in sources]
    manifest = json.loads(_pretty({"format": FORMAT, **work, "files": files, "on_error": on_error}))
    try:
        output.mkdir(parents=True, exist_ok=True)
        with _locked(output):
            earlier = _read_manifest(output)
            ledger = Ledger(output, manifest, leftovers)
            if earlier is not None:
                _remove(output, earlier["files"], finished=restart)
            if earlier is None or restart:
                ledger.begin()
            else:
                ledger.resume(earlier)
            try:
                yield ledger
            finally:
                ledger.close()
    except OSError as error:
        raise CliError(f"cannot work in {output}: {error.strerror or error}", USAGE) from error


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    folder = os.open(output, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CliError(f"another `hanjaserve bulk` works in {output}", USAGE) from None
    finally:
        os.close(folder)


def _read_manifest(output: Path) -> dict[str, Any] | None:
    """The manifest of an earlier run; None in an empty folder."""
    path = output / MANIFEST
    if not path.exists():
        if any(output.iterdir()):
            raise CliError(f"{output} is not empty: choose a new folder", USAGE)
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] == FORMAT:
            return dict(found)
    except (ValueError, KeyError, TypeError):
        pass
    raise CliError(f"{path} is not of this version of `hanjaserve bulk`: choose a new folder", USAGE)


def _remove(output: Path, files: Sequence[Mapping[str, str]], *, finished: bool) -> None:
    """Remove what killed workers have left half-written, and finished parts if so wished."""
    for file in files:
        stem, suffix = Path(file["stem"]), file["suffix"]
        name = re.escape(f"{stem.name}-") + r"\d{6}" + re.escape(suffix)
        leftover = re.compile(rf"\.{name}\..*\.part")
        for path in (output / stem.parent).glob(f"*{glob.escape(stem.name)}-*"):
            if leftover.fullmatch(path.name) or (finished and re.fullmatch(name, path.name)):
                path.unlink()


def _differences(earlier: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted({*earlier, *now}):
        one, other = earlier.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{prefix}{key}.")
        elif isinstance(one, list) and isinstance(other, list) and one != other:
            yield f"{prefix}{key} have changed"
        elif one != other:
            yield f"{prefix}{key} was {one!r}, is {other!r}"


def _report(found: Mapping[str, Any]) -> Report:
    return Report(**{**found, "bad": tuple((row, why) for row, why in found["bad"])})


def _line(report: Report) -> str:
    return json.dumps(asdict(report)) + "\n"


def _pretty(found: Mapping[str, object]) -> str:
    return json.dumps(found, indent=1) + "\n"
