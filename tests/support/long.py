"""The long form of the tests of live text, `make live-long`.

LIVE=long repeats more, LIVE_REPORT=FILE collects figures.
"""

import json
import os
from pathlib import Path

LONG = os.environ.get("LIVE") == "long"


def note(what: str, **figures: object) -> None:
    """Add figures to the report, one JSON object per line."""
    if path := os.environ.get("LIVE_REPORT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **figures}) + "\n")
