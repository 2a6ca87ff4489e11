"""`python -m benchmarks.accuracy`: every accuracy figure of a bundle, as JSON and as Markdown tables.

Needs the data folder ($HANJASERVE_DATA); the reference's metric also needs its tokenizer.json
(--reference-tokenizer), without which it is left out.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.accuracy.baseline import DictionaryConverter
from benchmarks.accuracy.homographs import annotated_words, confusions, share_right
from benchmarks.accuracy.reference_metric import measure
from benchmarks.accuracy.sets import PairSet, annotated_sentences, pair_sets
from hanjaserve.build.data import sources
from hanjaserve.build.metrics import bootstrap, bootstrap_calibration, count
from hanjaserve.build.readings import ReadingTable
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import MANIFEST
from hanjaserve.server.converter import LocalConverter
from hanjaserve.server.options import Options

SHOWN = (
    "syllable_accuracy", "hanja_precision", "hanja_recall", "hanja_f1", "word_accuracy", "exact_sentences"
)  # fmt: skip
Convert = Callable[[Sequence[str], str], list[str]]


def main() -> int:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="(default: the bundle of this installation)")
    parser.add_argument("--json", type=Path, help="write every figure there too")
    parser.add_argument("--record", action="store_true", help="write the figures into the bundle's manifest")
    parser.add_argument("--reference-tokenizer", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    bundle = arguments.bundle or default_bundle_path()
    with LocalConverter.open(bundle, threads=2) as converter:
        results = measure_all(converter, arguments.reference_tokenizer)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if arguments.record:
        record(bundle, results)
    sys.stdout.write(table(results))
    return 0


def record(bundle: Path, results: dict[str, Any]) -> None:
    """Write the model's figures into the manifest; its revision does not depend on them."""
    path = bundle / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    figures = {tests: dict(found["model"]) for tests, found in results.items()}
    figures["annotated words of courts"].pop("homographs")
    manifest["metrics"]["accuracy"] = figures
    path.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def measure_all(converter: LocalConverter, tokenizer: Path | None) -> dict[str, Any]:
    """Every figure: test set -> converter -> metric -> [value, low, high]."""
    dictionary = DictionaryConverter(sources.lexicon())
    converts: dict[str, Convert] = {
        "model": lambda texts, style: [c.text for c in converter.convert_batch(texts, Options(style=style))],
        "dictionary": lambda texts, _: [dictionary.convert(text) for text in texts],
    }
    results: dict[str, Any] = {}
    for tests in pair_sets():
        results[tests.name] = {name: _pair_metrics(tests, convert) for name, convert in converts.items()}
        results[tests.name]["model"]["calibration_error"] = _calibration(tests, converter)
        if tokenizer is not None and tests.style == "scripture":
            found = converts["model"]([hangul for hangul, _ in tests.pairs], tests.style)
            metric = measure(Tokenizer.from_file(str(tokenizer)), tests.pairs, found)
            results[tests.name]["model"]["reference_metric"] = asdict(metric)
    sentences = annotated_sentences()
    readings = ReadingTable.from_package()
    for name, convert in converts.items():
        words = list(
            annotated_words(sentences, convert([text for text, _ in sentences], "modern"), readings)
        )
        longer = [word for word in words if len(word.hangul) > 1]
        entry = results.setdefault("annotated words of courts", {}).setdefault(name, {})
        entry |= {"all": share_right(words), "two or more syllables": share_right(longer)}
        if name == "model":
            entry["homographs"] = confusions(words)
    return results


def _pair_metrics(tests: PairSet, convert: Convert) -> dict[str, Any]:
    found = convert([hangul for hangul, _ in tests.pairs], tests.style)
    counts = [count(h, gold, result) for (h, gold), result in zip(tests.pairs, found, strict=True)]
    return {name: [i.value, i.low, i.high] for name, i in bootstrap(counts).items()}


def _calibration(tests: PairSet, converter: LocalConverter) -> list[float]:
    """Of the scores of the words, as callers get them."""
    texts = [hangul for hangul, _ in tests.pairs]
    owners, scores, right = [], [], []
    conversions = converter.convert_batch(texts, Options(style=tests.style, with_spans=True))
    for number, ((_, gold), conversion) in enumerate(zip(tests.pairs, conversions, strict=True)):
        for span in conversion.spans:
            owners.append(number)
            scores.append(span.score)
            right.append(gold[span.start : span.end] == span.hanja)
    interval = bootstrap_calibration(owners, scores, right)
    return [interval.value, interval.low, interval.high]


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["| test set | converter | " + " | ".join(name.replace("_", " ") for name in SHOWN) + " |"]
    lines.append("|---" * (2 + len(SHOWN)) + "|")
    for tests, found in results.items():
        for name, metrics in found.items():
            if SHOWN[0] in metrics:
                cells = [_cell(*metrics[metric]) for metric in SHOWN]
                lines.append(f"| {tests} | {name} | " + " | ".join(cells) + " |")
    lines.append("")
    for tests, found in results.items():
        for name, metrics in found.items():
            for extra in ("calibration_error", "reference_metric", "all", "two or more syllables"):
                if extra in metrics:
                    value = metrics[extra]
                    shown = _cell(*value) if not isinstance(value, dict) else str(value)
                    lines.append(f"- {tests}, {name}: {extra.replace('_', ' ')} {shown}")
    rows = results["annotated words of courts"]["model"]["homographs"]
    lines += ["", "| word | meant | right | of | commonest mistake |", "|---|---|---|---|---|"]
    lines += [f"| {h} | {gold} | {right} | {total} | {wrong} |" for h, gold, right, total, wrong in rows[:60]]
    return "\n".join(lines) + "\n"


def _cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
