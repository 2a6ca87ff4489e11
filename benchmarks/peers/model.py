"""The model as the peers' servers call it: a list of texts in, a list of texts out.

It is hanjaserve's own runner and codec, texts sorted by length and cut into batches within the call. That is
more than a peer does by itself, so that it can only gain from large batches. Every peer gets a worker for
each core, with one thread each, as hanjaserve uses the cores.
"""

import os
from collections.abc import Sequence

from hanjaserve.server.cores import usable_cores
from hanjaserve.server.local import LocalConverter
from hanjaserve.server.options import Options

WORKERS = usable_cores()
THREADS = 1
BUNDLE = os.environ.get("PEER_BUNDLE") or None


class TextModel:
    """Opened once per worker process."""

    def __init__(self) -> None:
        self._converter = LocalConverter.open(BUNDLE, THREADS)
        self._options = Options(with_spans=False)

    def convert(self, texts: Sequence[str]) -> list[str]:
        """Convert texts, in order."""
        return [one.text for one in self._converter.convert_batch(list(texts), self._options)]
