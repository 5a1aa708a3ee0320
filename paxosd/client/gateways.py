"""Which gateways there are, whose turn it is, and which are avoided until when.

Laws:
1. A gateway that was asked and said nothing is avoided for a while: its silence is paid for once, not by every
   command. One word of it, and it is trusted again.
2. A gateway of another cluster is set aside for good, while others serve.
3. Avoiding never leaves nobody: if all were silent, the one that was left the longest ago has its turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.types import Instant

AVOIDED_S = 10.0
"""How long a gateway that said nothing is avoided, unless all are."""
HINT_EVERY_S = 1.0
"""How often a hint is followed: gateways that disagree about the leader may not send a client to and fro."""


class Gateways:
    """The gateways of one client; `current` is the address of the one to talk to."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.current = addresses[0]
        self._known = list(dict.fromkeys(addresses))
        self._avoided_until: dict[str, Instant] = {}
        self._foreign: dict[str, str] = {}
        self._hinted_at: Instant = float("-inf")

    def __str__(self) -> str:
        """For a person: the addresses, and why some are set aside."""
        return ", ".join(
            f"{known} (set aside: {self._foreign[known]})" if known in self._foreign else known for known in self._known
        )

    @property
    def none_left(self) -> bool:
        """Whether all are set aside."""
        return all(known in self._foreign for known in self._known)

    def avoids(self, address: str, now: Instant) -> bool:
        """Whether this one was found silent lately, or is set aside."""
        return now < self._avoided_until.get(address, now) or address in self._foreign

    # ---- what became of the current one ----

    def heard(self) -> None:
        """The current one said something."""
        self._avoided_until.pop(self.current, None)

    def found_silent(self, now: Instant) -> None:
        """The current one was asked and said nothing: avoid it, and turn to the next."""
        self._avoided_until = {known: until for known, until in self._avoided_until.items() if until > now}
        self._avoided_until[self.current] = now + AVOIDED_S
        self.turn(now)

    def set_aside(self, address: str, why: str, now: Instant) -> None:
        """This one is of another cluster: never ask it again."""
        self._foreign[address] = why
        if address == self.current:
            self.turn(now)

    # ---- whose turn it is ----

    def turn(self, now: Instant) -> None:
        """Turn to the next one; stay where all others are avoided, unless this one is, too."""
        at = self._known.index(self.current) + 1 if self.current in self._known else 0
        in_turn = [known for known in self._known[at:] + self._known[:at] if known not in self._foreign]
        trusted = [known for known in in_turn if not self.avoids(known, now)]
        if trusted:
            self.current = trusted[0]
        elif in_turn and self.avoids(self.current, now):
            self.current = min(in_turn, key=lambda known: self._avoided_until[known])

    def follow(self, hint: str, now: Instant) -> None:
        """Turn to this one, which is said to be beside the leader, unless it is avoided."""
        if now - self._hinted_at >= HINT_EVERY_S and not self.avoids(hint, now):
            self._hinted_at = now
            self.current = hint
