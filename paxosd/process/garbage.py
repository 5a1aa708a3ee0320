"""How often a process that runs for long looks for garbage."""

from __future__ import annotations

import gc


def collect_less_garbage() -> None:
    """From now on what is there stays, and is looked at no more: full collections walk everything that is alive, and
    whoever is in the middle of something waits for them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
