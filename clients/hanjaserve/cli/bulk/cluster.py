"""Ray, started on this machine for one command, or joined where it runs already.

Whoever reaches the ports or sockets of Ray can run code in it. What is started here listens on the loopback
interface only, wants a token that this process has made and nobody else knows, and has its sockets and
logs in a folder that others can't enter.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from hanjaserve.cli.errors import CliError
from hanjaserve.cli.interruption import Leftovers

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else Ray tells its makers that it is used
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # the others are exceptions as well
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else whoever uses Ray once it is shut down starts another one
}
HERE = {
    # On Linux, too, Ray then takes 127.0.0.1 for the address of this machine, whatever others it has.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # As many processes as there are cores would each take a share of a GPU.
    "CUDA_VISIBLE_DEVICES": "",
}


@contextmanager
def joined(workers: int | None, address: str | None, leftovers: Leftovers) -> Iterator[int]:
    """Have Ray while the block runs; gives how many workers there may be.

    Args:
        workers: So many, or None for one per core.
        address: That of a cluster; None for this machine alone. RAY_AUTH_TOKEN is its token.
        leftovers: Has Ray shut down, should a signal end the process meanwhile.

    Raises:
        CliError: It can't be started or joined, or something in it breaks.
    """
    os.environ.update(QUIET)
    if address is not None:
        with _initialised(leftovers, address=address) as cores:
            yield workers or max(1, cores - 1)
        return
    os.environ.update({**HERE, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    workers = workers or len(os.sched_getaffinity(0))
    # Not $TMPDIR: the names of sockets must be short. Ray opens its own folder, below ours, to everybody.
    folder = partial(TemporaryDirectory, prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    with leftovers.holding(folder, TemporaryDirectory.cleanup) as made:
        settings = {"num_cpus": workers + 1, "include_dashboard": False, "_temp_dir": f"{made.name}/r"}
        with _initialised(leftovers, address="local", **settings):
            yield workers


@contextmanager
def _initialised(leftovers: Leftovers, **settings: Any) -> Iterator[int]:
    """Have Ray while the block runs; gives the number of its cores, one of which is for who reads."""
    import ray  # reads the environment when it is imported
    import ray.data
    from ray.exceptions import RayError

    def start() -> None:
        with _silenced():
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **settings)

    def stop(_: None) -> None:
        # After a signal, a thread may still read from it, and would have it complain.
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        ray.shutdown()

    try:
        with leftovers.holding(start, stop):
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield int(ray.cluster_resources()["CPU"])
    except (RayError, ConnectionError) as error:
        raise CliError(f"Ray: {str(error).strip().splitlines()[-1]}") from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep from the terminal what Ray's C++ half says about its log level."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
