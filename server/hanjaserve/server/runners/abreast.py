"""Many batches through one runner, as many at a time as it can, for callers that have no pool."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from hanjaserve.server.runners.base import Runner, streams_of
from hanjaserve.server.shapes import Int32


class Abreast:
    """Runs batches on all streams of a parallel runner, and one by one on any other.

    Args:
        runner: Stays open.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._streams = streams_of(runner)
        # Threads begin with the first batches; a runner that is not parallel stays with its one.
        self._threads = ThreadPoolExecutor(self._streams, "runner") if self._streams > 1 else None

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def run(self, batches: Iterable[Int32]) -> Iterator[Int32]:
        """Run batches, taken as needed.

        Args:
            batches: See `Runner.run`.

        Returns:
            Their candidates, in order.

        Raises:
            RuntimeFault: The runner failed on one.
        """
        if self._threads is None:
            yield from map(self._runner.run, batches)
            return
        flying: deque[Future[Int32]] = deque()
        for tokens in batches:
            if len(flying) == self._streams:
                yield flying.popleft().result()
            flying.append(self._threads.submit(self._runner.run, tokens))
        while flying:
            yield flying.popleft().result()
