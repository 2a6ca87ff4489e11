"""Files that may change while the server runs: certificates and tokens."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

EVERY_S = 2.0


class Renewable(Protocol):
    """Something read from files."""

    def refresh(self) -> bool:
        """Read again what has changed; must not raise. Returns whether something has."""


async def keep_fresh(renewables: Sequence[Renewable], every_s: float = EVERY_S) -> None:
    """Refresh all of them now and then, until cancelled.

    Asking is cheaper than being told: it works on every file system, and with the symbolic links by which
    Kubernetes swaps secrets.
    """
    while True:
        await asyncio.sleep(every_s)
        for renewable in renewables:
            # The file system may be slow, and the loop must not wait for it.
            await asyncio.to_thread(renewable.refresh)
