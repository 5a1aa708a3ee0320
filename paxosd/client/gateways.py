"""Which gateways there are, whose turn it is, and which are avoided until when.

Laws:
1. A gateway that was asked and said nothing is avoided for a while: its silence is paid for once, not by every
   command. One word of it, and it is trusted again. It is avoided for less long where who answers serves nobody; but
   then it is asked for a word before it is sent a command, of which nobody could tell any more what became of it.
2. A gateway of another cluster, or of another history, is set aside for good, while others serve.
3. Avoiding never leaves nobody: if all were silent, the one that was left the longest ago has its turn.
4. A hint is followed only to an address that was given. A gateway tells the address in its own file, which may lead
   nowhere from here (published ports, a tunnel, address translation); if a given one does so, hints to it are followed
   less and less often.
5. Where nobody listens at an address, its silence is not waited for: all others are tried, each once in a while.
6. Where there is nobody to turn to, another way to the same address is wanted now and then: a name may stand for many
   gateways, or for another one than it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paxosd.core.types import NO_LAG, Instant, Lag
from paxosd.transport.base import NAME_NOT_FOUND, REFUSES

AVOIDED_S = 10.0
"""How long a gateway that said nothing is avoided, unless all are."""
DOUBTED_S = 1.0
"""The same where the only one that answers serves nobody."""
SILENCE_S = 0.4
"""How long a gateway may say nothing, while it was asked something, before the next one is tried; and for how long an
address at which nobody listens is not dialled again."""
HINT_AVOIDED_S_MAX = 640.0
"""How long a hint to it is not followed, at most: twice as long after each silence in a row, from `AVOIDED_S` on."""
STAYS_MAX = 2
"""How often nobody else is found before another way to this one is wanted."""
HINT_EVERY_S = 1.0
"""How often a hint is followed: gateways that disagree about the leader may not send a client to and fro."""


class Gateways:
    """The gateways of one client; `current` is the address of the one to talk to.

    `troubles` says why they cannot be reached, by address, as `ClientLink` does.
    """

    def __init__(self, addresses: Sequence[str], troubles: Mapping[str, str] | None = None) -> None:
        self.current = addresses[0]
        self.dialed = ""
        """The one that was sent something last."""
        self.lag: Lag = NO_LAG
        """How far the gateway that refused last is behind, if it is."""
        self.why = ""
        """What the gateway that refused last knows to keep everybody from leading."""
        self.ways = 0
        """How often another way to the current one was wanted."""
        self._known = list(dict.fromkeys(addresses))
        self._troubles = {} if troubles is None else troubles
        self._avoided_until: dict[str, Instant] = {}
        self._hint_avoided_until: dict[str, Instant] = {}
        self._refused_at: dict[str, Instant] = {}  # when it was left, for nobody listened there
        self._silences: dict[str, int] = {}  # in a row
        self._foreign: dict[str, str] = {}
        self._hinted_at: Instant = float("-inf")
        self._leader_at = ""  # beside which gateway, when the log took something of ours last
        self._stays = 0
        self.is_asked = False
        """Whether the current one was asked for a word, and said nothing yet."""
        self._is_doubted = False  # whether it has to say one before it is sent commands

    def __str__(self) -> str:
        """For a person: the addresses, and why some cannot be reached or are set aside."""
        return ", ".join(f"{known} ({why})" if (why := self._objection(known)) else known for known in self._known)

    def _objection(self, known: str) -> str:
        return f"set aside: {self._foreign[known]}" if known in self._foreign else self._troubles.get(known, "")

    @property
    def names_not_found(self) -> list[str]:
        """What is to be told if no address leads anywhere because its name is unknown; else nothing."""
        told = list(dict.fromkeys(self._objection(known) for known in self._known))
        return told if all(why.startswith(NAME_NOT_FOUND) for why in told) else []

    @property
    def none_left(self) -> bool:
        """Whether all are set aside."""
        return all(known in self._foreign for known in self._known)

    @property
    def all_silent(self) -> bool:
        """Whether each was asked since it was heard last, and said nothing."""
        silent = self._silences.keys() | self._foreign.keys() if self._silences else ()
        return len(silent) == len(self._known)

    def avoids(self, address: str, now: Instant) -> bool:
        """Whether this one was found silent lately, or is set aside."""
        return now < self._avoided_until.get(address, now) or address in self._foreign

    def leads_nowhere(self, now: Instant) -> bool:
        """Whether nobody listens where the current one was to be, and another one may be asked."""
        if self.dialed != self.current or not self._is_refused:
            return False
        lately = {known for known, at in self._refused_at.items() if now - at < SILENCE_S}
        return not lately.union(self._foreign, [self.current]).issuperset(self._known)

    @property
    def _is_refused(self) -> bool:
        return REFUSES in self._troubles.get(self.current, "")

    # ---- what became of the current one ----

    def heard(self) -> None:
        """The current one said something."""
        if self._is_doubted and not self.is_asked:
            return  # it is the word of the one before, which came in with what made us turn
        self._is_doubted = self.is_asked = False
        if self._silences.pop(self.current, 0):
            self._avoided_until.pop(self.current, None)
            self._hint_avoided_until.pop(self.current, None)

    def found_silent(self, now: Instant) -> None:
        """The current one was asked and said nothing: avoid it, and turn to the next."""
        if self._is_refused:
            self._refused_at[self.current] = now
        silences = self._silences.get(self.current, 0)
        self._silences[self.current] = silences + 1
        self._avoided_until[self.current] = now + AVOIDED_S
        self._hint_avoided_until[self.current] = now + min(AVOIDED_S * 2.0 ** min(silences, 30), HINT_AVOIDED_S_MAX)
        self.turn(now)

    def set_aside(self, address: str, why: str, now: Instant) -> None:
        """This one is of another cluster or history: never ask it again."""
        self._foreign[address] = why
        if address == self.current:
            self.turn(now)

    def wants_a_word(self) -> bool:
        """Whether the current one is to be asked for a word now, and is sent no command meanwhile."""
        self.is_asked = self._is_doubted
        return self._is_doubted

    # ---- whose turn it is ----

    def turn(self, now: Instant, serves_nobody: bool = False) -> None:
        """Turn to the next one; stay where all others are avoided, unless this one is, too, or serves nobody."""
        before = self.current
        self._is_doubted = self.is_asked = False
        at = self._known.index(self.current) + 1
        in_turn = [known for known in self._known[at:] + self._known[:at] if known not in self._foreign]
        trusted = [known for known in in_turn if not self.avoids(known, now)]
        if serves_nobody and trusted in ([], [before]):
            until = now + AVOIDED_S - DOUBTED_S
            again = [known for known in in_turn if known != before and self._avoided_until[known] <= until]
            self.current = min(again, key=lambda known: self._avoided_until[known], default=before)
            self._is_doubted = self.current != before
        elif trusted:
            self.current = trusted[0]
        elif in_turn and self.avoids(self.current, now):
            self.current = min(in_turn, key=lambda known: self._avoided_until[known])
        self._stays = self._stays + 1 if self.current == before else 0
        if self._stays == STAYS_MAX:
            self.ways, self._stays = self.ways + 1, 0

    def note_leader(self, hint: str) -> bool:
        """The log took something by the leader beside this gateway. Whether that is another one than before: then what
        was sent in between may have gone to the one before, and nobody else heard of it."""
        before, self._leader_at = self._leader_at, _address(hint) or self.current
        return before not in ("", self._leader_at)

    def follow(self, hint: str, now: Instant) -> None:
        """Turn to this one, which is said to be beside the leader, if it was given and is not avoided."""
        hint = _address(hint)
        if hint not in self._known or now - self._hinted_at < HINT_EVERY_S:
            return
        if not self.avoids(hint, now) and now >= self._hint_avoided_until.get(hint, now):
            self._hinted_at = now
            self.current = hint


def _address(hint: str) -> str:
    return f"tcp://{hint}" if hint and "://" not in hint else hint
