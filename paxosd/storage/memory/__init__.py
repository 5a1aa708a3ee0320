"""Records in memory, for tests and the simulator."""

from __future__ import annotations

from paxosd.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
