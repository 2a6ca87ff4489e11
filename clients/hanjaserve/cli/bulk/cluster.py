"""Ray, started on this machine for one command, or joined where it runs already.

Whoever reaches the ports of Ray can run code in it. What is started here listens on the loopback interface
only, and wants a token that this process has made and nobody else knows.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hanjaserve.cli.errors import CliError

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
    settings: dict[str, Any] = {"address": address}
    environment = dict(QUIET)
    if address is None:
        cores = workers or len(os.sched_getaffinity(0))
        # One more than the workers have, for who reads.
        settings = {"address": "local", "num_cpus": cores + 1, "include_dashboard": False}
        environment |= {**HERE, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update(environment)

    import ray  # reads the environment when it is imported
    import ray.data
    from ray.exceptions import RayError

    try:
        with _silenced():
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **settings)
        try:
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield workers or max(1, int(ray.cluster_resources()["CPU"]) - 1)
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
