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
from tempfile import TemporaryDirectory
from typing import Any

from hanjaserve.cli.errors import CliError, raise_on_sigterm

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else Ray tells its makers that it is used
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # the others are exceptions as well
}
HERE = {
    # On Linux, too, Ray then takes 127.0.0.1 for the address of this machine, whatever others it has.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # As many processes as there are cores would each take a share of a GPU.
    "CUDA_VISIBLE_DEVICES": "",
}


@contextmanager
def joined(workers: int | None, address: str | None) -> Iterator[int]:
    """Have Ray while the block runs; gives how many workers there may be.

    Args:
        workers: So many, or None for one per core.
        address: That of a cluster; None for this machine alone. RAY_AUTH_TOKEN is its token.

    Raises:
        CliError: It can't be started or joined, or something in it breaks.
    """
    os.environ.update(QUIET)
    if address is not None:
        with _initialised(address=address) as cores:
            yield workers or max(1, cores - 1)
        return
    os.environ.update({**HERE, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    workers = workers or len(os.sched_getaffinity(0))
    # Not $TMPDIR: the names of sockets must be short. Ray opens its own folder, below ours, to everybody.
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        settings = {"num_cpus": workers + 1, "include_dashboard": False, "_temp_dir": f"{folder}/r"}
        with _initialised(address="local", **settings):
            yield workers


@contextmanager
def _initialised(**settings: Any) -> Iterator[int]:
    """Have Ray while the block runs; gives the number of its cores, one of which is for who reads."""
    import ray  # reads the environment when it is imported
    import ray.data
    from ray.exceptions import RayError

    try:
        with _silenced():
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **settings)
        raise_on_sigterm()  # in the place of Ray's own handler, which shows a stack
        try:
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield int(ray.cluster_resources()["CPU"])
        finally:
            ray.shutdown()
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
