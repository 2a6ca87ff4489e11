"""`python -m benchmarks.accuracy.golden`: words of our own sentences, of which we know what they must become.

Homographs in both their senses, native words that look Sino-Korean, loan words, interface words, one-syllable
stems, numerals (golden.tsv). Needs no data folder. With --record the shares by kind become what the test
suite holds every later bundle to.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanjaserve.models import default_bundle_path
from hanjaserve.server.converter import LocalConverter

CASES = Path(__file__).with_name("golden.tsv")
RECORD = Path(__file__).parents[1] / "results" / "golden.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A word in a sentence, in which it stands once, and what it must become."""

    kind: str
    sentence: str
    word: str
    expected: str

    def found(self, converted: str) -> str:
        """What became of the word in a conversion of the sentence."""
        start = self.sentence.index(self.word)
        return converted[start : start + len(self.word)]


def read_cases(path: Path = CASES) -> list[Case]:
    """The cases of a file.

    Raises:
        ValueError: A line is malformed; says which and why.
    """
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4:
            raise ValueError(f"{path.name} line {number}: {len(fields)} columns, expected 4")
        case = Case(kind=fields[0], sentence=fields[1], word=fields[2], expected=fields[3])
        if case.sentence.count(case.word) != 1 or len(case.word) != len(case.expected):
            raise ValueError(
                f"{path.name} line {number}: {case.word} must stand once in the sentence and be as long as "
                f"{case.expected}"
            )
        cases.append(case)
    return cases


def shares(cases: Iterable[Case], converted: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Kind -> (right, of how many)."""
    counts: dict[str, tuple[int, int]] = {}
    for case, text in zip(cases, converted, strict=True):
        right, total = counts.get(case.kind, (0, 0))
        counts[case.kind] = (right + (case.found(text) == case.expected), total + 1)
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, print the shares and the misses; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.golden", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--record", action="store_true", help=f"write the shares to {RECORD.name}")
    arguments = parser.parse_args(argv)
    cases = read_cases()
    with LocalConverter.open(arguments.bundle, threads=2) as converter:
        texts = [conversion.text for conversion in converter.convert_batch([c.sentence for c in cases])]
    found = shares(cases, texts)
    for kind, (right, total) in found.items():
        sys.stdout.write(f"{kind:10} {right:3} of {total}\n")
    for case, text in zip(cases, texts, strict=True):
        if case.found(text) != case.expected:
            sys.stdout.write(f"  {case.expected}, not {case.found(text)}: {text}\n")
    if arguments.record:
        RECORD.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
