"""How much a machine of keys may hold, and one request may ask for.

Equal on all nodes: what is refused for it is a part of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.options import COMMAND_BYTES_MAX


@dataclass(frozen=True, slots=True)
class KvBounds:
    """The bounds; tests have smaller ones."""

    window_revisions: int = 100_000
    """So many revisions that changed keys can be read and watched at most; older ones go by themselves."""
    window_bytes: int = 64 * 1024 * 1024
    """How much memory they take at most, values that were replaced included."""
    keys_bytes: int = 4 * 1024 * 1024 * 1024
    """How many bytes of keys and values there may be."""
    leases: int = 250_000
    """How many leases there may be."""
    changes: int = 100_000
    """How many keys one command may change, and one lease may have: a node does nothing else meanwhile."""
    command_scan: int = 10_000
    """How many keys one command may look at."""
    question_scan: int = 100_000
    """How many keys one question looks at; after that it is told where to go on."""
    result_bytes: int = COMMAND_BYTES_MAX + 64 * 1024
    """How large one result or answer may be."""
    spare_bytes: int = 64 * 1024
    """How much more than twice what there is may stand in blocks on a disk (see `blocks.py`). It is no part of the log.
    """


DEFAULT_BOUNDS = KvBounds()
