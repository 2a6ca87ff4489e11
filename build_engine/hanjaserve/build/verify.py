"""Runs every artefact of a bundle on real sentences and compares it with the PyTorch checkpoint.

What: labels are compared at every unit (a Hangul syllable; in the word scheme a token). Where
they differ, the margin of PyTorch's own decision says whether that is rounding (a near tie) or an
error.
Why in batches of mixed length: padding and batching must not change an answer either.
Not: no accuracy is measured here; that is `hanjaserve evaluate`. The tolerances are in parity.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.parity import (
    TOLERANCES,
    ArtefactReport,
    Difference,
    ParityReport,
    Tolerance,
)
from hanjaserve.build.readings import ReadingTable
from hanjaserve.build.reference import Answer, TorchReference
from hanjaserve.build.sessions import Run, open_session
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, Window, make_codec
from hanjaserve.server.converter import Options
from hanjaserve.server.errors import BuildError
from hanjaserve.server.rendering import render
from hanjaserve.server.shapes import Int32, pad
from hanjaserve.server.spans import spans_from

FP32_FILE = "model.fp32.onnx"
FP16_FILE = "model.fp16.onnx"
CPU_FILE = "model.cpu.xml"
READINGS_FILE = "readings.tsv"
STYLE = "modern"

_BATCH_TOKENS = 2048
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3

Convert = Callable[[str, Sequence[Window], Sequence[Int32]], str]
"""(text, its windows, their candidates) -> converted text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Sentences, their windows and the reference's answers: the same for every artefact."""

    sentences: tuple[str, ...]
    scheme: str
    pad_id: int
    windows: tuple[tuple[Window, ...], ...]
    candidates: tuple[tuple[Int32, ...], ...]
    margins: tuple[tuple[npt.NDArray[np.float32], ...], ...]


def verify_bundle(
    path: Path, sentences: Sequence[str], checkpoint: Checkpoint | None, *, threads: int
) -> ParityReport:
    """Compares the artefacts of the bundle at `path` with its checkpoint.

    Args:
        path: a bundle, published or not.
        sentences: what to convert.
        checkpoint: what the bundle was made of; None compares with the bundle's FP32 ONNX instead.
        threads: for each runtime.

    Raises:
        BundleError: the bundle is damaged.
        BuildError: the checkpoint is not the bundle's, or an artefact does not load.
    """
    bundle = Bundle.open(path)
    codec = make_codec(bundle)
    artefacts = artefacts_of(bundle)
    if checkpoint is None:
        (_, _, file), *artefacts = artefacts
        name, reference = "onnx fp32", margins_of(open_session(bundle.path(file), threads))
    else:
        _require_same_labels(bundle, checkpoint)
        name, reference = "pytorch", TorchReference(checkpoint, bundle_readings(bundle)).run
    expected = expect(bundle, codec, sentences, reference)
    convert = converter_of(bundle, codec)
    reports = [
        compare(title, precision, open_session(bundle.path(file), threads), expected, convert=convert)
        for title, precision, file in artefacts
    ]
    return ParityReport(
        bundle=f"{bundle.manifest.name} {bundle.manifest.revision}",
        reference=name,
        artefacts=tuple(reports),
    )


def artefacts_of(bundle: Bundle) -> list[tuple[str, str, str]]:
    """(title, precision, file) of everything in the bundle that can run; the FP32 ONNX first."""
    found = [("onnx fp32", "fp32", FP32_FILE), ("onnx fp16", "fp16", FP16_FILE)]
    if CPU_FILE in bundle.manifest.files:
        precision = str(bundle.manifest.provenance.get("cpu_precision", "fp32"))
        found.append((f"openvino {precision}", precision, CPU_FILE))
    return found


def bundle_readings(bundle: Bundle) -> ReadingTable | None:
    """The readings that a word-scheme bundle masks with; None if it does not."""
    manifest = bundle.manifest
    if manifest.scheme == "syllable" or not manifest.reading_mask:
        return None
    return ReadingTable.load(bundle.path(READINGS_FILE))


def converter_of(bundle: Bundle, codec: Codec) -> Convert:
    """Makes text of candidates as the server does, with default options."""
    labels, options = bundle.labels(), Options()

    def convert(text: str, windows: Sequence[Window], candidates: Sequence[Int32]) -> str:
        decoded = codec.decode(text, list(windows), list(candidates))
        return render(text, spans_from(decoded, text, labels, options), options.rendering)

    return convert


def margins_of(run: Run) -> Callable[[Int32], Answer]:
    """A runtime in the place of the reference; its margins come from its own scores."""

    def answer(tokens: Int32) -> Answer:
        candidates = run(tokens)
        scores = (candidates & 0xFFFF).astype(np.float32) / np.float32(65535)
        return Answer(candidates, scores[..., 0] - scores[..., 1])

    return answer


def _require_same_labels(bundle: Bundle, checkpoint: Checkpoint) -> None:
    if bundle.manifest.scheme != checkpoint.scheme or bundle.labels().labels != checkpoint.labels:
        raise BuildError(
            f"the bundle {bundle.manifest.name} ({bundle.manifest.scheme} scheme, "
            f"{len(bundle.labels().labels)} labels) was not made of the checkpoint "
            f"{checkpoint.name} ({checkpoint.scheme} scheme, {len(checkpoint.labels)} labels): "
            "give its own"
        )


def expect(
    bundle: Bundle,
    codec: Codec,
    sentences: Sequence[str],
    reference: Callable[[Int32], Answer],
) -> Expected:
    """Encodes the sentences and asks the reference about them, once."""
    pad_id = bundle.manifest.pad_id
    windows = tuple(map(tuple, codec.encode(list(sentences), STYLE)))
    candidates: list[list[Int32]] = [[] for _ in windows]
    margins: list[list[npt.NDArray[np.float32]]] = [[] for _ in windows]
    flat = [(n, window.tokens) for n, found in enumerate(windows) for window in found]
    answers: dict[int, tuple[Int32, npt.NDArray[np.float32]]] = {}
    for order, batch in _batches([tokens for _, tokens in flat], pad_id):
        answer = reference(batch)
        for row, number in enumerate(order):
            length = len(flat[number][1])
            answers[number] = (answer.candidates[row, :length], answer.margins[row, :length])
    for number, (sentence, _) in enumerate(flat):
        candidates[sentence].append(answers[number][0])
        margins[sentence].append(answers[number][1])
    return Expected(
        sentences=tuple(sentences),
        scheme=bundle.manifest.scheme,
        pad_id=pad_id,
        windows=windows,
        candidates=tuple(map(tuple, candidates)),
        margins=tuple(map(tuple, margins)),
    )


def compare(
    artefact: str, precision: str, run: Run, expected: Expected, *, convert: Convert
) -> ArtefactReport:
    """Runs an artefact over the expected sentences.

    Args:
        artefact: its name in the report.
        precision: key of TOLERANCES.
        run: the artefact, from open_session.
        expected: from expect.
        convert: makes the two texts of a difference.
    """
    tally = _Tally(TOLERANCES[precision])
    answers = outputs_of(run, expected)
    for number, (found, mine) in enumerate(zip(expected.windows, answers, strict=True)):
        tally.begin_sentence()
        for window, theirs, ours, margins in zip(
            found, expected.candidates[number], mine, expected.margins[number], strict=True
        ):
            tally.add(_units(window.tokens, expected.scheme), theirs, ours, margins)
        if tally.worth_showing():
            tally.shown = (tally.worst, number, mine)
    return ArtefactReport(
        artefact=artefact,
        precision=precision,
        sentences=len(expected.sentences),
        units=tally.units,
        differing=tally.differing,
        largest_margin=tally.largest_margin,
        largest_score_error=tally.largest_score_error,
        tolerance=tally.tolerance,
        first_difference=_difference(tally, expected, convert),
    )


class _Tally:
    """Counts, and the sentence to show: the first that differs, rather beyond tolerance."""

    def __init__(self, tolerance: Tolerance) -> None:
        self.tolerance = tolerance
        self.units = self.differing = 0
        self.largest_margin = self.largest_score_error = 0.0
        self.worst = -1.0
        self.shown: tuple[float, int, list[Int32]] | None = None

    def begin_sentence(self) -> None:
        self.worst = -1.0

    def add(
        self,
        counted: npt.NDArray[np.bool_],
        theirs: Int32,
        ours: Int32,
        margins: npt.NDArray[np.float32],
    ) -> None:
        differs = counted & (theirs[:, 0] >> 16 != ours[:, 0] >> 16)
        self.units += int(counted.sum())
        self.differing += int(differs.sum())
        self.worst = max(self.worst, float(margins[differs].max(initial=-1.0)))
        self.largest_margin = max(self.largest_margin, self.worst)
        error = np.abs((theirs[:, 0] & 0xFFFF) - (ours[:, 0] & 0xFFFF))[counted & ~differs]
        largest = float(error.max(initial=0)) / 65535
        self.largest_score_error = max(self.largest_score_error, largest)

    def worth_showing(self) -> bool:
        if self.worst < 0:
            return False
        limit = self.tolerance.margin
        return self.shown is None or (self.worst >= limit and self.shown[0] < limit)


def _difference(tally: _Tally, expected: Expected, convert: Convert) -> Difference | None:
    if tally.shown is None:
        return None
    margin, number, mine = tally.shown
    text, windows = expected.sentences[number], expected.windows[number]
    return Difference(
        sentence=text,
        expected=convert(text, windows, expected.candidates[number]),
        got=convert(text, windows, mine),
        margin=margin,
    )


def outputs_of(run: Run, expected: Expected) -> list[list[Int32]]:
    """Candidates of every window of every sentence, int32 [n, k] each."""
    rows = [window.tokens for found in expected.windows for window in found]
    results: dict[int, Int32] = {}
    for order, batch in _batches(rows, expected.pad_id):
        candidates = run(batch)
        for row, number in enumerate(order):
            results[number] = candidates[row, : len(rows[number])].copy()
    ordered = iter([results[number] for number in range(len(rows))])
    return [[next(ordered) for _ in found] for found in expected.windows]


def _batches(rows: Sequence[Int32], pad_id: int) -> Iterator[tuple[list[int], Int32]]:
    """Batches of similar length; each with the numbers of its rows."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    batch: list[int] = []
    for number in order:
        if batch and (len(batch) + 1) * len(rows[number]) > _BATCH_TOKENS:
            yield batch, pad([rows[n] for n in batch], pad_id)
            batch = []
        batch.append(number)
    if batch:
        yield batch, pad([rows[n] for n in batch], pad_id)


def _units(tokens: Int32, scheme: str) -> npt.NDArray[np.bool_]:
    """Which positions count: Hangul syllables, or every token but [CLS] and [SEP]."""
    if scheme == "syllable":
        return (tokens >= _FIRST_SYLLABLE) & (tokens <= _LAST_SYLLABLE)
    counted = np.ones(len(tokens), dtype=np.bool_)
    counted[[0, -1]] = False
    return counted
