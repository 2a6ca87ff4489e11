"""`python -m benchmarks.accuracy`: every accuracy figure of a bundle, as JSON and as Markdown tables.

Needs the data folder ($HANJASERVE_DATA); the reference's metric also needs its tokenizer.json
(--reference-tokenizer), without which it is left out.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.accuracy.baseline import DictionaryConverter
from benchmarks.accuracy.homographs import Annotated, annotated_words, confusions, share_right
from benchmarks.accuracy.sets import PairSet, annotated_sentences, pair_sets
from hanjaserve.build.data import sources
from hanjaserve.build.metrics import Interval, bootstrap, count
from hanjaserve.build.readings import ReadingTable
from hanjaserve.build.reference_metric import measure
from hanjaserve.cli.evaluate import Tally
from hanjaserve.cli.pairs import Pair
from hanjaserve.models import default_bundle_path
from hanjaserve.server.bundle import MANIFEST
from hanjaserve.server.converter import LocalConverter
from hanjaserve.server.options import Options

SHOWN = (
    "syllable_accuracy", "hanja_precision", "hanja_recall", "hanja_f1", "word_accuracy", "exact_sentences"
)  # fmt: skip


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
    results: dict[str, Any] = {
        tests.name: {
            "model": _model_figures(tests, converter, tokenizer),
            "dictionary": _dictionary_figures(tests, dictionary),
        }
        for tests in pair_sets()
    }
    sentences = annotated_sentences()
    texts = [text for text, _ in sentences]
    readings = ReadingTable.from_package()
    model = list(annotated_words(sentences, [c.text for c in converter.convert_batch(texts)], readings))
    floor = list(annotated_words(sentences, list(map(dictionary.convert, texts)), readings))
    results["annotated words of courts"] = {
        "model": _shares(model) | {"homographs": confusions(model)},
        "dictionary": _shares(floor),
    }
    return results


def _model_figures(tests: PairSet, converter: LocalConverter, tokenizer: Path | None) -> dict[str, Any]:
    conversions = converter.convert_batch([hangul for hangul, _ in tests.pairs], Options(style=tests.style))
    tally = Tally()
    for line, ((hangul, mixed), conversion) in enumerate(zip(tests.pairs, conversions, strict=True), 1):
        tally.add(Pair(line=line, hangul=hangul, mixed=mixed), conversion, None)
    figures: dict[str, Any] = _listed(tally.metrics())
    if tokenizer is not None and tests.style == "scripture":
        texts = [conversion.text for conversion in conversions]
        metric = measure(Tokenizer.from_file(str(tokenizer)), tests.pairs, texts)
        figures["reference_metric"] = asdict(metric)
    return figures


def _dictionary_figures(tests: PairSet, dictionary: DictionaryConverter) -> dict[str, Any]:
    return _listed(bootstrap([count(h, gold, dictionary.convert(h)) for h, gold in tests.pairs]))


def _listed(metrics: dict[str, Interval]) -> dict[str, Any]:
    return {name: [found.value, found.low, found.high] for name, found in metrics.items()}


def _shares(words: Sequence[Annotated]) -> dict[str, Any]:
    longer = [word for word in words if len(word.hangul) > 1]
    return {"all": share_right(words), "two or more syllables": share_right(longer)}


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
