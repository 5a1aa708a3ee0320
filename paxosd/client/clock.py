"""The clocks of a client: that of deadlines, and that of leases, which goes on while the machine sleeps, as the cluster
does. Both are monotonic, and a time on one is none on the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from paxosd.core.types import Instant


def lease_now() -> Instant:
    """Now, on the clock of leases, which is not that of deadlines."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clocks(NamedTuple):
    """What says what time it is: `now` for deadlines, `lease_now` for leases."""

    now: Callable[[], Instant] = time.monotonic
    lease_now: Callable[[], Instant] = lease_now
