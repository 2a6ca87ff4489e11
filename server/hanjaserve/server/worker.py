"""One runner and the thread that alone calls it.

    loop:    give ---> inbox ---> thread:  pad -> runner.run -> (bisect) ---> finished, on the thread
    loop:    take_back <- whatever the thread has not taken yet

It does not retry. A batch that fails is run again in halves until the entries at fault are known.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np

from hanjaserve.server.entry import Batch
from hanjaserve.server.errors import HanjaserveError, RuntimeFault
from hanjaserve.server.runners.base import Runner
from hanjaserve.server.shapes import Int32, pad

logger = logging.getLogger(__name__)

Outcome = Int32 | HanjaserveError


@dataclass(slots=True, frozen=True, kw_only=True, eq=False)
class Work:
    """A batch and the tokens of its entries, in their order."""

    batch: Batch
    arrays: list[Int32]


Finished = Callable[["Worker", Work, list[Outcome], float], None]


class Worker:
    """Runs batches, one after the other. Everything but `finished` is called on the event loop.

    Attributes:
        runner: What computes.
        outstanding: Batches given and not yet finished: one runs, more wait.
    """

    def __init__(
        self, runner: Runner, *, pad_id: int, top_k: int | None, clock: Callable[[], float], name: str
    ) -> None:
        self.runner = runner
        self.outstanding = 0
        self._pad_id = pad_id
        self._top_k = top_k
        self._clock = clock
        self._name = name
        self._inbox: SimpleQueue[Work | None] = SimpleQueue()
        self._waiting: Work | None = None
        self._thread: threading.Thread | None = None

    def start(self, finished: Finished) -> None:
        """Begin to work; `finished` is called on the thread, with the seconds that a batch took."""
        self._thread = threading.Thread(target=self._work, args=(finished,), name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the runner once everything given has been run."""
        self._inbox.put(None)

    def join(self) -> None:
        """Wait until the runner is closed."""
        if self._thread is not None:
            self._thread.join()

    def give(self, work: Work) -> None:
        """Run a batch as soon as those before it are done."""
        self.outstanding += 1
        self._waiting = work if self.outstanding > 1 else None
        self._inbox.put(work)

    @property
    def waiting(self) -> Work | None:
        """The batch that waits behind the running one, if any; the thread may just have taken it."""
        return self._waiting

    def take_back(self) -> Work | None:
        """Take the waiting batch back; None if there is none or the thread was faster."""
        if self._waiting is None:
            return None
        self._waiting = None
        try:
            work = self._inbox.get_nowait()
        except Empty:
            return None
        if work is None:
            self._inbox.put(None)
            return None
        self.outstanding -= 1
        return work

    def settle(self) -> None:
        """Note that a batch has finished, so that the thread takes the waiting one."""
        self.outstanding -= 1
        self._waiting = None

    # ---- on the thread

    def _work(self, finished: Finished) -> None:
        while work := self._inbox.get():
            started = self._clock()
            outcomes = self._compute(work.arrays)
            finished(self, work, outcomes, self._clock() - started)
            # A waiting thread must not keep the arrays of its last batch alive.
            del work, outcomes
        self.runner.close()

    def _compute(self, arrays: Sequence[Int32]) -> list[Outcome]:
        """Run a batch; if it fails, run its halves, so that only the entries at fault fail."""
        name = self.runner.name
        try:
            output = self._checked(pad(arrays, self._pad_id))
            return [output[row, : len(array)] for row, array in enumerate(arrays)]
        except Exception as error:
            shape = f"{len(arrays)} x {max(map(len, arrays))}"
            # The traceback holds no user text: runners see token ids only, and messages are ours.
            logger.warning("runner %s failed on a batch of %s tokens", name, shape, exc_info=error)
            if len(arrays) == 1:
                return [RuntimeFault(f"the runner {name} failed on this text")]
        half = len(arrays) // 2
        return self._compute(arrays[:half]) + self._compute(arrays[half:])

    def _checked(self, tokens: Int32) -> Int32:
        """Run padded tokens int32 [batch, tokens]; candidates int32 [batch, tokens, k]."""
        output = self.runner.run(tokens)
        wanted = (*tokens.shape, self._top_k or output.shape[-1])
        if output.shape != wanted or output.dtype != np.int32:
            raise RuntimeFault(
                f"the runner {self.runner.name} returned {output.dtype} {list(output.shape)} instead of "
                f"int32 {list(wanted)}: the engine does not fit the bundle, rebuild it"
            )
        # A copy, because a runner may use the same buffer for its next batch.
        return np.array(output, order="C")
