"""How much room a node's disk has (see `core/space.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Node to itself, to every proposer and every learner: how much room my disk has.

    `space` is a `Space`. My data directory takes `data_bytes`, and may grow by `room_bytes` until commands are refused.
    `refuses`: I lead, and take no commands for want of room, here or elsewhere.
    """

    space: int
    data_bytes: int
    room_bytes: int
    refuses: bool
