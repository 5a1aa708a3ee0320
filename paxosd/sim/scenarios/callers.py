"""A calm cluster with keys, and callers of its clients who use recipes by the word of a script.

Laws:
1. A caller does one thing after the other, and waits for as long as it takes. Who could get on and does not breaks 40.
2. Clients do nothing by themselves, but for what keeps their leases. So a change that nobody hears of is followed by no
   other one that would wake him.
3. In the end all give back what they have, and nothing may be left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any

from paxosd.sim.calls import check_commands
from paxosd.sim.calm import TOLD_T_E, TTL_MOST, look
from paxosd.sim.check.attempts import Attempts
from paxosd.sim.check.invariants import ensure
from paxosd.sim.check.meetings import check_rounds
from paxosd.sim.check.replay import Replay
from paxosd.sim.clients import SimClient
from paxosd.sim.keys.hand import Hand
from paxosd.sim.keys.model import Keys
from paxosd.sim.scenarios.props import Report
from paxosd.sim.scenarios.script import Script, report

SHORT_TTL_S, LONG_TTL_S = 4.0, 60.0
"""How long leases run, about: where somebody waits for the end of one, and where nobody does."""
WINDOW = 40
"""How many of the latest revisions can be watched."""
_STEP_T_E = 0.02


class Callers:
    """Of one scenario. `away`: the clients that can reach nobody just now."""

    def __init__(self, seed: int, layout: str, ttl_s: float = LONG_TTL_S) -> None:
        more: dict[str, Any] = {"clients": 3, "sessions": 5000}
        self.script = Script(seed, layout, keys=1.0, ttl_s=ttl_s, window=WINDOW, credit_bytes=5000, **more)
        self.away: Collection[str] = ()
        self.script.begin()
        self.at = self.script.now

    @property
    def clients(self) -> list[SimClient]:
        return self.script.clients

    @property
    def replay(self) -> Replay:
        """What the chosen log must come to."""
        replay = self.script.world.ghost.replay
        assert replay is not None
        return replay

    @property
    def keys(self) -> Keys:
        """All keys as they are now."""
        self.replay.advance()
        return self.replay.keys.now

    @property
    def attempts(self) -> Attempts:
        """What is known of all ways through recipes."""
        attempts = self.script.world.ghost.attempts
        assert attempts is not None
        return attempts

    def hand(self, client: SimClient) -> Hand:
        """That of one more caller of this client, which has a lease."""
        hand = client.keys.hand(Random(self.script.random.getrandbits(64)))
        hand.troubled = False
        self.until(lambda: hand.lease() is not None, "it has a lease")
        return hand

    # ---- time ----

    def run(self, t_e: float) -> None:
        """Let so many election timeouts pass, in which all who can get on do."""
        script = self.script
        end = script.now + t_e * script.t_e
        while script.now < end:
            self.step()

    def step(self) -> None:
        """Let a moment pass."""
        script = self.script
        script.run(_STEP_T_E)
        for client in script.clients:
            client.step(script.now)
        look(script.world, self.away)

    def until(self, done: Callable[[], bool], what: str, within_s: float = 0.0) -> None:
        """Let time pass until this is so: until those are told who wait, or for so long before that."""
        end = self.script.now + within_s + 2 * TOLD_T_E * self.script.t_e
        while not done():
            ensure(self.script.now < end, "scenario", f"not in time: {what}")
            self.step()

    def until_a_lease_is_over(self, done: Callable[[], bool], what: str) -> None:
        """The same, where a lease has to run out first."""
        self.until(done, what, self.script.plan.ttl_s * TTL_MOST)

    # ---- the end ----

    def finish(self) -> Report:
        """All give back what they have; then everything that must hold at the end does."""
        script, ghost = self.script, self.script.world.ghost
        for client in script.clients:
            client.rest()
        self.until_a_lease_is_over(lambda: not self.replay.keys.leases, "all leases are given back")
        assert ghost.turns is not None
        ghost.turns.check_left_behind()
        script.finish()
        check_commands(ghost, certain=True)
        self.attempts.check_ends()
        check_rounds(self.attempts)
        return report(script, self.at, 0.0)
