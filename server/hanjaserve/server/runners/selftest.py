"""Test a runner before it goes live: an engine can load, run, and still compute wrongly.

    known sentences     convert to what the PyTorch checkpoint made of them
    duplicate rows      of a batch give the same
    permuted rows       give permuted results
    longest bucket      padding changes nothing
    every bucket        of a GPU, full, on every lane at a time, gives the same

Rounding may turn a decision that is a near tie, so answers may differ where the runner itself gives
its best two candidates nearly the same probability; anywhere else a difference is a fault.
"""

from collections.abc import Sequence

import numpy as np

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import Codec, Decoded, Window, make_codec
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.labels import KEEP
from hanjaserve.server.options import DEFAULT_STYLE
from hanjaserve.server.runners.base import BucketedRunner, Runner
from hanjaserve.server.shapes import Int32, pad, padded_length, unpack_labels, unpack_scores

NEAR_TIE = 0.05
"""Difference of probabilities below which two candidates are a near tie."""
FALLBACK = "대한민국의 수도는 서울이다."
"""What is run if a bundle brings no sentences along."""


def check_runner(runner: Runner, bundle: Bundle) -> None:
    """Run all tests.

    Raises:
        RuntimeFault: Says which one failed.
        BundleError: The bundle's sentences can't be read.
    """
    sentences = bundle.reference()
    codec = make_codec(bundle)
    texts = [text for text, _ in sentences] or [FALLBACK]
    encoded = codec.encode(texts, DEFAULT_STYLE)
    rows = [window.tokens for windows in encoded for window in windows]
    answers = _run(runner, rows, bundle)
    _check_invariance(runner, rows, answers, bundle)
    if isinstance(runner, BucketedRunner):
        _check_buckets(runner, max(rows, key=len), bundle)
    check_sentences(runner, codec, bundle.labels().labels, sentences, encoded, answers)


def check_sentences(
    runner: Runner,
    codec: Codec,
    labels: Sequence[str],
    sentences: Sequence[tuple[str, str]],
    encoded: Sequence[Sequence[Window]],
    answers: Sequence[Int32],
) -> None:
    """Compare the answers to all windows of sentences with what the sentences must become.

    Raises:
        RuntimeFault: Says which one is wrong.
    """
    remaining = iter(answers)
    for (text, expected), windows in zip(sentences, encoded, strict=False):
        candidates = [next(remaining) for _ in windows]
        _check_sentence(runner, codec, labels, text, expected, windows, candidates)


def _run(runner: Runner, rows: Sequence[Int32], bundle: Bundle, length: int | None = None) -> list[Int32]:
    """Run rows as one batch and cut off the padding."""
    tokens = pad(rows, bundle.manifest.pad_id, length)
    output = runner.run(tokens)
    expected = (*tokens.shape, bundle.manifest.top_k)
    if output.shape != expected or output.dtype != np.int32:
        raise RuntimeFault(
            f"self-test of {runner.name}: {output.dtype} {list(output.shape)} came out instead of "
            f"int32 {list(expected)}; the model does not fit its manifest"
        )
    return [found[: len(row)] for found, row in zip(output, rows, strict=True)]


def _check_invariance(
    runner: Runner, rows: Sequence[Int32], answers: Sequence[Int32], bundle: Bundle
) -> None:
    """Neighbours, position and padding of a row must not matter."""
    row, answer = rows[0], answers[0]
    longest = bundle.manifest.max_tokens
    backwards = _run(runner, rows[::-1], bundle)[::-1]
    tests = [
        ("duplicate rows differ", [(answer, found) for found in _run(runner, [row] * 3, bundle)]),
        ("permuted rows differ", list(zip(answers, backwards, strict=True))),
        ("a row differs alone", [(answer, _run(runner, [row], bundle)[0])]),
        (
            f"a row differs when padded to {longest} tokens",
            [(answer, _run(runner, [row], bundle, padded_length(longest))[0])],
        ),
        (
            "a row of one token differs when padded",
            [
                (
                    _run(runner, [row[:1]], bundle)[0],
                    _run(runner, [row[:1]], bundle, padded_length(longest))[0],
                )
            ],
        ),
    ]
    for fault, pairs in tests:
        if not all(agree(one, other) for one, other in pairs):
            raise RuntimeFault(f"self-test of {runner.name}: {fault}; the engine computes wrongly")


def _check_buckets(runner: BucketedRunner, row: Int32, bundle: Bundle) -> None:
    """Each shape is a program of its own, captured before the next one was set up, so none goes untried."""
    table = runner.buckets
    for bucket in table.buckets:
        part = row[: bucket.tokens]
        answer = _run(runner, [part], bundle, table.lengths[-1])[0]
        tokens = pad([part] * bucket.rows, bundle.manifest.pad_id, bucket.tokens)
        flights = [runner.submit(tokens) for _ in range(runner.depth)]
        for lane, output in enumerate([flight.result() for flight in flights]):
            if not all(agree(answer, found[: len(part)]) for found in output):
                raise RuntimeFault(
                    f"self-test of {runner.name}: bucket {bucket} differs on lane {lane + 1}; the engine "
                    "computes wrongly"
                )


def agree(one: Int32, other: Int32) -> bool:
    """Whether two answers to the same row are the same but for rounding."""
    same = unpack_labels(one[:, 0]) == unpack_labels(other[:, 0])
    near = np.abs(unpack_scores(one[:, 0]) - unpack_scores(other[:, 0])) < NEAR_TIE
    return bool(np.all(near & (same | (_margins(unpack_scores(one)) < NEAR_TIE))))


def _margins(
    scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if scores.shape[1] < 2:
        return scores[:, 0]
    return scores[:, 0] - scores[:, 1]


def _check_sentence(
    runner: Runner,
    codec: Codec,
    labels: Sequence[str],
    text: str,
    expected: str,
    windows: Sequence[Window],
    candidates: Sequence[Int32],
) -> None:
    decoded = codec.decode(text, windows, candidates)
    if not _can_be(decoded, text, expected, labels):
        (got,) = codec.replace(text, decoded, decoded.converted, [(0, len(text))])
        raise RuntimeFault(
            f"self-test of {runner.name}: {text!r} became {got!r} instead of {expected!r}; the "
            "engine computes wrongly"
        )


def _can_be(decoded: Decoded, text: str, expected: str, labels: Sequence[str]) -> bool:
    """Whether the expected conversion comes out if near ties are decided as they must be."""
    margins = _margins(decoded.scores)
    reached, done = {0}, 0
    for unit in range(len(decoded.start)):
        start, end = int(decoded.start[unit]), int(decoded.end[unit])
        gap, own = text[done:start], text[start:end]
        near = decoded.scores[unit] > decoded.scores[unit, 0] - NEAR_TIE
        near[0] = True
        allowed = decoded.labels[unit][near] if margins[unit] < NEAR_TIE else decoded.labels[unit][:1]
        spellings = {gap + (own if label == KEEP else labels[label]) for label in allowed.tolist()}
        reached = {
            position + len(spelling)
            for position in reached
            for spelling in spellings
            if expected.startswith(spelling, position)
        }
        done = end
    return any(expected[position:] == text[done:] for position in reached)
