"""The clock of leases: monotonic, and it goes on while the machine sleeps, as the cluster does."""

from __future__ import annotations

import time

from paxosd.core.types import Instant


def lease_now() -> Instant:
    """Now, on the clock of leases, which is not that of deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
