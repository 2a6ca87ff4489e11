"""`python -m benchmarks.accuracy.reviews`: 200 film reviews, converted, for somebody to read.

No human labels exist for colloquial text, so a person reads what became of it: native and loan words that
were converted are what counts. The lines are drawn by a fixed seed from those that the default recipe does
not train on (it takes the first ones of the file), and a converted word is shown as 수도(首都). The text is
never committed; how many syllables were wrong is written into docs/accuracy.md by hand.
"""

import argparse
import random
import sys
from collections.abc import Sequence

from hanjaserve.build.data import sources
from hanjaserve.build.data.prepare import Mix
from hanjaserve.models import default_bundle_path
from hanjaserve.server.converter import LocalConverter
from hanjaserve.server.options import Options, Rendering
from hanjaserve.server.readings import is_syllable

LINES, SEED = 200, 200
SHORTEST = 6


def drawn() -> list[str]:
    """The lines, of at least SHORTEST characters."""
    unseen = [line for line in sources.lines("reviews_plain.txt") if len(line) >= SHORTEST][Mix().reviews :]
    return random.Random(SEED).sample(unseen, LINES)


def main(argv: Sequence[str] | None = None) -> int:
    """Print them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.reviews", description=__doc__)
    parser.add_argument("--bundle", default=default_bundle_path())
    arguments = parser.parse_args(argv)
    lines = drawn()
    with LocalConverter.open(arguments.bundle) as converter:
        options = Options(rendering=Rendering.HANGUL_HANJA)
        for number, found in enumerate(converter.convert_batch(lines, options), 1):
            print(number, found.text)
    print(sum(is_syllable(char) for line in lines for char in line), "syllables", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
