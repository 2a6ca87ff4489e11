"""A question with a known answer: by it a runner that serves is told from one that only runs.

A few of the bundle's own sentences, forwards and backwards in one batch: an engine that mixes rows up, has
lost its weights or computes NaN does not get all of them right. Takes a few milliseconds.
"""

import numpy as np

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import RuntimeFault
from hanjaserve.server.options import DEFAULT_STYLE
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.runners.selftest import FALLBACK, agree, check_sentences
from hanjaserve.server.shapes import pad

SENTENCES = 4
LONGEST = 48


class Question:
    """Asks any runner of one bundle; call it with the runner, on the runner's thread.

    Raises:
        RuntimeFault: The answer is wrong.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._codec = make_codec(bundle)
        self._labels = bundle.labels().labels
        short = [pair for pair in bundle.reference() if 0 < len(pair[0]) <= LONGEST][:SENTENCES]
        self._sentences = short
        texts = [text for text, _ in short] or [FALLBACK]
        self._windows = self._codec.encode(texts, DEFAULT_STYLE)
        self._rows = [window.tokens for windows in self._windows for window in windows]

    def __call__(self, runner: Runner) -> None:
        """Ask."""
        rows = [*self._rows, *self._rows[::-1]]
        tokens = pad(rows, self._bundle.manifest.pad_id)
        output = runner.run(tokens)
        expected = (*tokens.shape, self._bundle.manifest.top_k)
        if output.shape != expected or output.dtype != np.int32:
            raise RuntimeFault(f"{output.dtype} {list(output.shape)} instead of int32 {list(expected)}")
        answers = [found[: len(row)].copy() for found, row in zip(output, rows, strict=True)]
        forwards, backwards = answers[: len(self._rows)], answers[len(self._rows) :][::-1]
        if not all(agree(one, other) for one, other in zip(forwards, backwards, strict=True)):
            raise RuntimeFault(f"{runner.name} gives different answers to the same row")
        check_sentences(runner, self._codec, self._labels, self._sentences, self._windows, forwards)
