"""`make consistency`: the same sentences by every way through the server, and in process.

Converts varied real sentences one by one, in batches, in a stream and without a server, and counts what must
never happen: a result that depends on the way, a length that changed, a character changed that is no
Hangul syllable, a Hanja that is not read as its syllable. Exit code 1 if anything of it did.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from benchmarks.server import running
from hanjaserve.build.data import sources
from hanjaserve.client import Client, Conversion, Result
from hanjaserve.models import default_bundle_path
from hanjaserve.server.converter import LocalConverter
from hanjaserve.server.readings import is_syllable

SEED = 42
IN_FLIGHT = 64
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found in how many sentences.

    Attributes:
        sentences: Converted by each way.
        syllables: Hangul syllables in them.
        converted: Syllables that became Hanja.
        differing: Way -> sentences that came out differently than in process.
        length_changes: Sentences whose length changed.
        foreign_changes: Characters changed that are no Hangul syllable.
        reading_violations: Syllables that became a Hanja that is not read so.
        seconds: Way -> wall time.
    """

    sentences: int
    syllables: int
    converted: int
    differing: dict[str, int]
    length_changes: int
    foreign_changes: int
    reading_violations: int
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether nothing happened that must not."""
        faults = self.length_changes + self.foreign_changes + self.reading_violations
        return faults + sum(self.differing.values()) == 0


def varied_sentences(count: int) -> list[str]:
    """Court, statute, review, interface and Bible text, without repeats, in a fixed order."""
    texts: list[str] = []
    shares = {"precedents_plain.txt": 0.3, "statutes_plain.txt": 0.2, "reviews_plain.txt": 0.25}
    for name, share in shares.items():
        texts += islice(sources.lines(name), int(count * share))
    texts += [hangul for hangul, _ in sources.localisation()]
    texts += [hangul for split in ("test", "dev", "train") for hangul, _ in sources.bible(split)]
    chosen = list(dict.fromkeys(texts))[:count]
    random.Random(SEED).shuffle(chosen)
    return chosen


async def by_every_way(address: str, texts: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Way -> converted texts, and way -> seconds."""
    found: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    async with Client(address) as client:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(text: str) -> str:
            async with gate:
                return (await client.convert(text)).text

        started = time.monotonic()
        found["one by one"] = await asyncio.gather(*map(one, texts))
        seconds["one by one"] = time.monotonic() - started
        started = time.monotonic()
        found["batched"] = []
        for first in range(0, len(texts), BATCH):
            found["batched"] += map(_text, await client.convert_batch(texts[first : first + BATCH]))
        seconds["batched"] = time.monotonic() - started
        started = time.monotonic()
        found["streamed"] = [_text(result) async for result in client.convert_stream(texts)]
        seconds["streamed"] = time.monotonic() - started
    return found, seconds


def _readings(bundle: Path) -> dict[str, str]:
    """Syllable -> the Hanja read so, as the bundle says."""
    lines = (bundle / "readings.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def _text(result: Result) -> str:
    if not isinstance(result, Conversion):
        raise result
    return result.text


def compare(
    texts: Sequence[str],
    expected: Sequence[str],
    found: dict[str, list[str]],
    readings: dict[str, str],
    seconds: dict[str, float],
) -> Report:
    """Count what must never happen; `expected` are the conversions in process."""
    changed = [
        (before, after)
        for text, result in zip(texts, expected, strict=True)
        for before, after in zip(text, result, strict=False)
        if before != after
    ]
    return Report(
        sentences=len(texts),
        syllables=sum(map(is_syllable, "".join(texts))),
        converted=len(changed),
        differing={
            way: sum(a != b for a, b in zip(expected, results, strict=True)) for way, results in found.items()
        },
        length_changes=sum(len(a) != len(b) for a, b in zip(texts, expected, strict=True)),
        foreign_changes=sum(not is_syllable(before) for before, _ in changed),
        reading_violations=sum(after not in readings.get(before, "") for before, after in changed),
        seconds={way: round(value, 1) for way, value in seconds.items()},
    )


def main() -> int:
    """Convert, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consistency", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="sentences (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, help="(default: the bundle of this installation)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="only write the sentences, one per line")
    arguments = parser.parse_args()
    bundle = arguments.bundle or default_bundle_path()
    texts = varied_sentences(arguments.count)
    if arguments.write:
        arguments.write.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return 0
    started = time.monotonic()
    with LocalConverter.open(bundle, threads=2) as converter:
        expected = [conversion.text for conversion in converter.convert_batch(texts)]
    seconds = {"in process": time.monotonic() - started}
    with running(bundle) as server:
        found, more = asyncio.run(by_every_way(server.address, texts))
    report = compare(texts, expected, found, _readings(bundle), seconds | more)
    content = json.dumps(asdict(report), ensure_ascii=False, indent=1)
    print(content)
    if arguments.json:
        arguments.json.write_text(content + "\n", encoding="utf-8")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
