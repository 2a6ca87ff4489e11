"""Runners and converters that need no model: what comes out can be computed from what went in."""

import asyncio
import threading
from collections.abc import Sequence
from itertools import repeat

import numpy as np

from hanjaserve.server.batcher import Priority
from hanjaserve.server.converter import Conversion
from hanjaserve.server.errors import HanjaserveError, Overloaded, RuntimeFault, TextTooLong
from hanjaserve.server.options import Options
from hanjaserve.server.shapes import Int32
from hanjaserve.server.spans import Alternative, Span

POISON = 666


class FakeRunner:
    """Doubles every token, k = 2. Blocks while `gate` is cleared; fails on POISON."""

    name = "fake"

    def __init__(self, *, wrong_shape: bool = False) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[tuple[int, int]] = []
        self.threads: set[int] = set()
        self.closed = False
        self.wrong_shape = wrong_shape
        self.buffer = np.zeros(0, dtype=np.int32)

    def run(self, tokens: Int32) -> Int32:
        self.threads.add(threading.get_ident())
        self.batches.append((tokens.shape[0], tokens.shape[1]))
        self.entered.release()
        assert self.gate.wait(10)
        if (tokens == POISON).any():
            raise ValueError("poisoned")
        output = np.stack([tokens * 2, tokens * 2 + 1], axis=-1)
        self.buffer[...] = -1  # what an earlier call returned is not valid any more
        self.buffer = output
        return output[:, :-1] if self.wrong_shape else output

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed = True


def expected(tokens: Int32) -> Int32:
    return np.stack([tokens * 2, tokens * 2 + 1], axis=-1)


class FakeConverter:
    """Upper-cases. `!name` raises an error of that kind for the item, `!!name` for the call."""

    def __init__(self) -> None:
        self.hold = asyncio.Event()
        self.hold.set()
        self.items = 0
        self.most_items = 0
        self.cancelled = 0
        self.calls: list[tuple[Options, float | None, Priority]] = []
        self.overloads = 0

    async def convert(
        self, text: str, options: Options, *, deadline: float | None, priority: Priority
    ) -> Conversion:
        outcome = (await self.convert_batch([text], options, deadline=deadline, priority=priority))[0]
        if isinstance(outcome, HanjaserveError):
            raise outcome
        return outcome

    async def convert_batch(
        self,
        texts: Sequence[str],
        options: Options,
        *,
        deadline: float | None,
        priority: Priority,
        contexts: Sequence[int] = (),
    ) -> list[Conversion | HanjaserveError]:
        self.calls.append((options, deadline, priority))
        if self.overloads:
            self.overloads -= 1
            raise Overloaded("busy", retry_after_s=0.01)
        self.items += len(texts)
        self.most_items = max(self.most_items, self.items)
        try:
            await self.hold.wait()
            for text in texts:
                if text.startswith("!!"):
                    raise KINDS[text[2:]](f"text {text}")
        except asyncio.CancelledError:
            self.cancelled += len(texts)
            raise
        finally:
            self.items -= len(texts)
        own = [text[skip:] for text, skip in zip(texts, contexts or repeat(0), strict=False)]
        return [self._one(text, options) for text in own]

    def _one(self, text: str, options: Options) -> Conversion | HanjaserveError:
        if text.startswith("!"):
            error = KINDS[text[1:]]("single item")
            assert isinstance(error, HanjaserveError)
            return error
        spans = (
            Span(
                start=0,
                end=len(text),
                hangul=text,
                hanja=text.upper(),
                score=0.5,
                alternatives=(Alternative(hanja="ALT", score=0.25),),
            ),
        )
        return Conversion(text=text.upper(), spans=spans if options.with_spans else ())


KINDS: dict[str, type[Exception]] = {
    "long": TextTooLong,
    "fault": RuntimeFault,
    "busy": Overloaded,
    "bug": ZeroDivisionError,
}
