"""How many processor cores there are to compute with."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = QUOTA) -> int:
    """Cores that this process may use: those it is bound to, or fewer where a container's quota says so.

    Args:
        quota: The control group's cpu.max, "MICROSECONDS PERIOD" or "max PERIOD"
            (https://docs.kernel.org/admin-guide/cgroup-v2.html).
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = map(int, quota.read_text("ascii").split())
    except (OSError, ValueError):  # no control group, or "max"
        return bound
    # Half a core more would be idle half of the time.
    return max(1, min(bound, round(allowed / period)))
