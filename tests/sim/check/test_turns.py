"""The checker counts who has a turn: not those whose keys somebody removed, whenever they are told."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from paxosd.client.leases import HeldLease, KeyHold
from paxosd.sim.check.invariants import Violation
from paxosd.sim.check.replay import Replay
from paxosd.sim.check.turns import HeldTurn, HeldTurns

READ, WRITE = b"rwlock/r/read/1", b"rwlock/r/write/2"


def turn(key: bytes, fence: int) -> HeldTurn:
    hold = KeyHold(HeldLease(fence, 10_000, 0.0))
    return HeldTurn(f"c{fence}", b"rwlock/r/", 5, key == WRITE, key, fence, hold, lambda: 1.0)


def turns() -> HeldTurns:
    """The reader's key was made by revision 1, and is gone when that of the writer is made by revision 2."""
    made = {1: {READ: SimpleNamespace(create_revision=1)}, 2: {WRITE: SimpleNamespace(create_revision=2)}}
    keys = SimpleNamespace(states=made, now=made[1])
    return HeldTurns(cast(Replay, SimpleNamespace(keys=keys, at=lambda revision: None)))


def test_two_who_may_not_have_it_at_once_are_a_violation() -> None:
    held = turns()
    held.take(turn(WRITE, 2), 2)

    with pytest.raises(Violation, match="both have"):
        held.take(turn(READ, 1), 1)


def test_who_is_told_late_of_a_turn_whose_key_somebody_removed_takes_it_from_nobody() -> None:
    held = turns()
    assert held.anybodys_key(Random(1)) == READ
    held.take(turn(WRITE, 2), 2)
    held.take(turn(READ, 1), 1)

    assert held.count == 2
