"""The test sets, read from the data folder; none of them is ever trained on."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hanjaserve.build.data import sources
from hanjaserve.build.data.prepare import key

Pairs = list[tuple[str, str]]

LOOKED_AT = 500
"""Lines of localisation_dev that were looked at while the rules for labels were written."""
SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """Pairs of one kind, converted in one style."""

    name: str
    style: str
    pairs: Pairs


def pair_sets() -> list[PairSet]:
    """Modern text, all of it and the part that nobody looked at, and the Bible's test split."""
    modern = list(sources.localisation())
    shuffled = list(modern)
    random.Random(SEED).shuffle(shuffled)
    return [
        PairSet(name="localisation_dev", style="modern", pairs=modern),
        PairSet(name="localisation_dev, unseen lines", style="modern", pairs=shuffled[LOOKED_AT:]),
        PairSet(name="bible, test split", style="scripture", pairs=list(sources.bible("test"))),
    ]


def annotated_sentences() -> Sequence[tuple[str, list[tuple[int, str]]]]:
    """The annotated court sentences that are not in any training text."""
    trained = {key(line) for line in sources.lines("precedents_plain.txt")}
    trained |= {key(text) for text, _ in sources.annotated("statutes_annotated.txt")}
    return [pair for pair in sources.annotated("precedents_annotated_dev.txt") if key(pair[0]) not in trained]
