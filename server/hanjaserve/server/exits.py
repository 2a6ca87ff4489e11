"""How the server's processes begin and end: the event loop that they run on, and their exit codes."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine

DIED, DEVICE_LOST = 70, 71
"""Exit codes of a process that has no runner left, and of one whose GPU is lost to it.

Whoever watches it starts it again.
"""


def run_loop(work: Coroutine[None, None, int]) -> int:
    """Run a process's work on its event loop, and return the exit code unless the GPU was lost."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(work)
    if code == DEVICE_LOST:
        # Whatever is still on the GPU can't be freed, and trying to has crashed processes at their end.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop where there is one: 8 to 10 % more calls per second."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[no-any-return]
