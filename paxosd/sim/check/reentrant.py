"""48: a lock that its holder may take again is entered by one caller, who has it until it went out as often.

That nobody else has it meanwhile, at this client or at another one, is 37. Here it is counted again who is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.turns import HeldTurn

LAW = "48 re-entrant locks"


@dataclass(slots=True)
class _Within:
    """What a caller was told that it has, and how often it was told so."""

    turn: HeldTurn
    times: int


class LockEntries:
    """Of one object of a client, for all callers who use it."""

    def __init__(self) -> None:
        self._within: dict[str, _Within] = {}

    def times(self, caller: str) -> int:
        """How often it came in and did not go out."""
        within = self._within.get(caller)
        return within.times if within else 0

    def came_in(self, caller: str, turn: HeldTurn) -> None:
        """A caller is told that it has the lock, for the first time or once more."""
        others = [name for name, within in self._within.items() if within.turn is turn and name != caller]
        ensure(not others, LAW, f"{caller} is told that it has what {others} have")
        within = self._within.setdefault(caller, _Within(turn, 0))
        what = f"{caller} is told that it has {turn.line!r} once more with fence {turn.fence}"
        ensure(within.turn is turn, LAW, f"{what}, and it is inside with fence {within.turn.fence}")
        ensure(within.times == 0 or turn.is_believed, LAW, f"{what}, and it has it no more")
        within.times += 1

    def told_lost(self, caller: str) -> None:
        """A caller who wants it once more is told that it has lost it."""
        within = self._within.get(caller)
        ensure(within is not None, LAW, f"{caller} is told that it has lost what it does not have")
        assert within is not None
        ensure(not within.turn.is_believed, LAW, f"{caller} is told that it has lost {within.turn.line!r}")

    def went_out(self, caller: str, given_back: HeldTurn | None) -> None:
        """A caller goes out, and gives this back."""
        within = self._within[caller]
        within.times -= 1
        what = f"{caller} goes out and is inside {within.times} times still, and gives back"
        if within.times:
            ensure(given_back is None, LAW, f"{what} {given_back}")
        else:
            ensure(given_back is within.turn, LAW, f"{what} {given_back}, not {within.turn}")
            del self._within[caller]
