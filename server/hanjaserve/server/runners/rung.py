"""A rung of the ladder: one kind of runner, and how to open it."""

from collections.abc import Callable
from dataclasses import dataclass

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.runners.base import Runner


def _keep(bundle: Bundle, runner: Runner) -> None:
    """Most runners are made of the bundle alone; there is nothing to replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One kind of runner.

    Attributes:
        name: What `--runner` calls it.
        device: Rungs of the same device stand together.
        open: (bundle, threads) -> runner; raises HanjaserveError with the reason if it can't.
        condemn: Called when an opened runner fails its self-test.
    """

    name: str
    device: str
    open: Callable[[Bundle, int], Runner]
    condemn: Callable[[Bundle, Runner], None] = _keep
