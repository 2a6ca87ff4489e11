"""How well a conversion agrees with a human one: pure functions over strings, NumPy only.

Everything is counted per sentence first (`count`), and every metric is a ratio of sums of those
counts. So confidence intervals come from resampling sentences, which are independent, rather than
syllables, which are not (https://en.wikipedia.org/wiki/Bootstrapping_(statistics)).

    hangul      대한민국의 수도는 서울이다
    gold        大韓民國의 首都는 서울이다        what a human wrote: same length
    predicted   大韓民國의 水道는 서울이다        what is measured: same length, see `align`

    syllable accuracy    Hangul syllables that came out as in gold, kept ones included     10 of 12
    precision            converted syllables that are as in gold                            4 of 6
    recall               syllables converted in gold that are as in gold                    4 of 6
    words                maximal runs converted in gold, right when all of it is            1 of 2
    exact                sentences that are right throughout                                0 of 1

The functions neither convert nor read files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hanjaserve.server.readings import is_syllable

# Stands for a syllable that became something of another length: wrong whatever gold says.
MISALIGNED = "�"
CALIBRATION_BINS = 10

Floats = NDArray[np.float64]


class SpanLike(Protocol):
    """A converted word, as the client and the server report it."""

    @property
    def start(self) -> int:
        """Where it starts in the Hangul text."""

    @property
    def end(self) -> int:
        """Where it ends (exclusive)."""

    @property
    def hanja(self) -> str:
        """What it became."""

    @property
    def score(self) -> float:
        """The probability that the model gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is counted in one sentence; the sums of a corpus have the same shape."""

    syllables: int = 0
    syllables_right: int = 0
    converted: int = 0
    gold: int = 0
    converted_right: int = 0
    words: int = 0
    words_right: int = 0
    sentences: int = 1
    exact: int = 0
    reading_violations: int = 0
    length_changes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A metric with its bootstrap confidence interval; all NaN when there is nothing to measure."""

    value: float
    low: float
    high: float


def align(hangul: str, text: str, spans: Iterable[SpanLike]) -> str:
    """The converted text with the length of `hangul`, syllable under syllable.

    A word model may change the length; then the spans tell what became of which syllables.

    Returns:
        `text` itself when its length is right, else one rebuilt from the spans, in which words that
        changed their length are MISALIGNED.
    """
    if len(text) == len(hangul):
        return text
    aligned = list(hangul)
    for span in spans:
        width = span.end - span.start
        fits = len(span.hanja) == width
        aligned[span.start : span.end] = span.hanja if fits else MISALIGNED * width
    return "".join(aligned)


def runs(hangul: str, gold: str) -> list[tuple[int, int]]:
    """The words of gold: maximal half-open runs that are converted.

    runs("대한민국의 수도는", "大韓民國의 首都는") == [(0, 4), (6, 8)]
    """
    found: list[tuple[int, int]] = []
    start = None
    for index, (before, after) in enumerate(zip(hangul, gold, strict=True)):
        if before != after and start is None:
            start = index
        elif before == after and start is not None:
            found.append((start, index))
            start = None
    if start is not None:
        found.append((start, len(hangul)))
    return found


def count(
    hangul: str,
    gold: str,
    predicted: str,
    *,
    readings: Mapping[str, str] | None = None,
    length_changed: bool = False,
) -> Counts:
    """Count one sentence.

    Args:
        hangul: The sentence in Hangul.
        gold: The human conversion, of the same length.
        predicted: The conversion to judge, of the same length (see `align`).
        readings: The Hanja that every syllable may become; None counts no violations.
        length_changed: Whether the conversion had another length before it was aligned.
    """
    triples = list(zip(hangul, gold, predicted, strict=True))
    syllables = [triple for triple in triples if is_syllable(triple[0])]
    changed = [(before, after) for before, _, after in triples if before != after]
    words = runs(hangul, gold)
    return Counts(
        syllables=len(syllables),
        syllables_right=sum(right == after for _, right, after in syllables),
        converted=len(changed),
        gold=sum(before != right for before, right, _ in triples),
        converted_right=sum(before != after == right for before, right, after in triples),
        words=len(words),
        words_right=sum(gold[start:end] == predicted[start:end] for start, end in words),
        exact=int(gold == predicted and not length_changed),
        reading_violations=_violations(changed, readings),
        length_changes=int(length_changed),
    )


def _violations(changed: list[tuple[str, str]], readings: Mapping[str, str] | None) -> int:
    if readings is None:
        return 0
    return sum(after not in readings.get(before, "") for before, after in changed)


def totals(counts: Sequence[Counts]) -> Counts:
    """The sums over a corpus."""
    sums = _table(counts).sum(axis=0)
    names = [column.name for column in fields(Counts)]
    return Counts(**dict(zip(names, map(int, sums), strict=True)))


def _table(counts: Sequence[Counts]) -> NDArray[np.int64]:
    """The counts as int64 [sentences, columns]."""
    names = [column.name for column in fields(Counts)]
    rows = [[getattr(one, name) for name in names] for one in counts]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(names))


def ratios(sums: Counts) -> dict[str, float]:
    """The metrics of a corpus from its sums; NaN where there is nothing to divide by."""
    return {name: float(value[0]) for name, value in _ratios(_Columns(_table([sums]))).items()}


class _Columns:
    """A table by column name, so that one formula serves one corpus and a thousand resamples."""

    def __init__(self, table: NDArray[np.int64]) -> None:
        names = [column.name for column in fields(Counts)]
        columns: Iterable[Floats] = table.T.astype(np.float64)
        self._columns = dict(zip(names, columns, strict=True))

    def __getitem__(self, name: str) -> Floats:
        return self._columns[name]


def _ratios(column: _Columns) -> dict[str, Floats]:
    precision = _divide(column["converted_right"], column["converted"])
    recall = _divide(column["converted_right"], column["gold"])
    # Not 2PR / (P + R), which is undefined when both are 0.
    both = column["converted"] + column["gold"]
    return {
        "syllable_accuracy": _divide(column["syllables_right"], column["syllables"]),
        "hanja_precision": precision,
        "hanja_recall": recall,
        "hanja_f1": _divide(2 * column["converted_right"], both),
        "word_accuracy": _divide(column["words_right"], column["words"]),
        "exact_sentences": _divide(column["exact"], column["sentences"]),
    }


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    nothing = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)


def calibration_error(
    scores: Sequence[float] | Floats,
    right: Sequence[bool] | NDArray[np.bool_],
    weights: Floats | None = None,
) -> float:
    """Expected calibration error of scores, in ten bins of equal mass.

    The mean, weighted by mass, of |share that is right - mean score| over the bins. Bins of equal
    mass rather than width, because most scores are near 1 (https://arxiv.org/abs/1909.10155).

    Args:
        scores: float [n], the score of every span.
        right: bool [n], whether it is right.
        weights: float [n], how often every span counts; None counts each once.

    Returns:
        The error in [0, 1]; NaN without spans.
    """
    score, hit = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    mass = np.ones_like(score) if weights is None else weights
    total = float(mass.sum())
    if total == 0:
        return float("nan")
    order = np.argsort(score, kind="stable")
    score, hit, mass = score[order], hit[order], mass[order]
    middle = np.cumsum(mass) - mass / 2
    bins = np.minimum((middle / total * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=mass * (hit - score), minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / total)


def bootstrap(
    counts: Sequence[Counts], *, resamples: int = 1000, seed: int = 42, level: float = 0.95
) -> dict[str, Interval]:
    """Every metric of a corpus with a percentile bootstrap interval over its sentences.

    Args:
        counts: One per sentence.
        resamples: How often the corpus is drawn anew.
        seed: Of the random numbers: the same corpus gives the same intervals.
        level: The share of resamples that the interval holds.
    """
    table = _table(counts)
    random = np.random.default_rng(seed)
    resampled = np.stack([_draw(random, len(table)) @ table for _ in range(resamples)])
    spread = _ratios(_Columns(resampled))
    values = _ratios(_Columns(table.sum(axis=0, keepdims=True)))
    return {name: _interval(float(values[name][0]), spread[name], level) for name in values}


def bootstrap_calibration(
    sentences: Sequence[int],
    scores: Sequence[float],
    right: Sequence[bool],
    *,
    resamples: int = 200,
    seed: int = 42,
    level: float = 0.95,
) -> Interval:
    """The calibration error with its interval; spans are resampled with their sentences.

    Args:
        sentences: int [n], which sentence every span is of.
        scores: float [n].
        right: bool [n].
        resamples: How often the corpus is drawn anew.
        seed: Of the random numbers.
        level: The share of resamples that the interval holds.
    """
    owner = np.asarray(sentences, np.int64)
    score, hit = np.asarray(scores, np.float64), np.asarray(right, np.bool_)
    random = np.random.default_rng(seed)
    number = int(owner.max(initial=-1)) + 1
    spread = [
        calibration_error(score, hit, _draw(random, number).astype(np.float64)[owner])
        for _ in range(resamples)
    ]
    return _interval(calibration_error(score, hit), np.array(spread), level)


def _draw(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """How often each of `number` sentences is in one resample: int64 [number]."""
    if number == 0:
        return np.zeros(0, np.int64)
    return np.bincount(random.integers(number, size=number), minlength=number)


def _interval(value: float, spread: Floats, level: float) -> Interval:
    known = spread[~np.isnan(spread)]
    if not len(known):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high))
