"""How much of a client is under way, and when it sends again after a refusal.

A full cluster refuses at once, and a thousand clients that all send all again keep it busy with refusing. So a client
that is refused has less under way, by half each time, and waits longer before it sends again; with what is applied it
has more under way again. (That is how TCP shares a line: Jacobson, "Congestion Avoidance and Control".)

Laws:
1. However small the share, one batch may be under way.
2. One refusal of many sendings that left together counts once. A result that took long counts like a refusal.
3. Without a refusal the share doubles with each answer, up to everything; after one it grows by a step for each share
   that is applied, so that clients come to have alike shares.
4. What waits for its turn while others are served fails before its time is over, and unsent, if it would be late.
"""

from __future__ import annotations

from random import Random

from paxosd.core.options import CLIENT_FRAME_BYTES
from paxosd.core.reasons import Reason
from paxosd.core.types import Instant

EVERYWHERE = Reason.OVERLOADED, Reason.NO_SPACE
"""Why all gateways refuse, which ask the same leader."""
SHARE_FIRST_BYTES = 2 * CLIENT_FRAME_BYTES
SHARE_LEAST_BYTES = 4 * 1024
SHARE_MOST_BYTES = 32 * 1024 * 1024
"""More than a client ever holds."""
STEP_BYTES = 64 * 1024
COMMAND_BYTES = 32
"""What a command counts for besides its value."""
BACKOFF_FIRST_S = 0.02
BACKOFF_MAX_S = 0.3
OVERLOADED_BACKOFF_MAX_S = 1.0
BACKOFF_GROWS = 1.5
LEADERLESS_BACKOFF_GROWS = 1.1
"""Where nobody leads, a client waits about a tenth of the time for which that is so: it will be over soon, and then
what is sent is served at once."""
GAP_FIRST_S, GAP_MAX_S = 0.1, 1.0
"""How long after it sent again because of a gap a client does so once more, at least; longer each time in a row."""
SERVED_FOR_S = 2.0
"""For how long after a result, or after a leader said that it is full, a cluster counts as one that works."""
SLOW_S = 0.3
"""What takes so much longer than twice the quickest stood in a queue: so much under way helps nobody."""
FORGETS = 1.01
"""How much longer the quickest seems with each answer, for a cluster may become slower."""
SERVED_FIRST_S = 0.25
"""How long a command takes, as long as none has shown it."""
SERVED_MOST_S = 2.0
"""With so much time left a command is sent, however slow others were."""
RISES, FALLS = 0.5, 0.05
"""How much of the difference one answer makes: the slow ones count."""


class Pacing:
    """Of one session."""

    def __init__(self, random: Random) -> None:
        self.not_before: Instant = 0.0
        """Nothing is sent earlier than this."""
        self.share_bytes = SHARE_FIRST_BYTES
        """How many bytes may be under way."""
        self.served_s = SERVED_FIRST_S
        """How long commands took of late, from sending to result."""
        self.quickest_s = SLOW_S / 2
        """How long those took that had to wait for nobody."""
        self._random = random
        self._limited = False  # by a refusal or a loss, since the share was everything
        self._backoff_s = BACKOFF_FIRST_S
        self._served_until: Instant = 0.0
        self._slowed_until: Instant = 0.0  # what was sent before the share was halved is not news
        self._gap_at: Instant = float("-inf")  # when it may send again because of a gap
        self._gap_s = GAP_FIRST_S

    def is_served(self, now: Instant) -> bool:
        """Whether the cluster works lately, so that what is still not sent waits for its turn."""
        return now < self._served_until

    def has_time(self, deadline: Instant, now: Instant) -> bool:
        """Whether what is sent now can be done in time, as far as is known."""
        return deadline - now >= min(2 * self.served_s, SERVED_MOST_S)

    def applied(self, size: int, took_s: float, now: Instant) -> None:
        """So many bytes are done; the last of them took so long."""
        self.served_s += (took_s - self.served_s) * (RISES if took_s > self.served_s else FALLS)
        self.quickest_s = min(took_s, self.quickest_s * FORGETS)
        self._served_until = now + SERVED_FOR_S
        self._backoff_s = BACKOFF_FIRST_S
        self._gap_s = GAP_FIRST_S
        if took_s > SLOW_S + 2 * self.quickest_s:
            if now >= self._slowed_until:
                self._slowed_until = now + took_s
                self._halve()
            return
        grown = min(size, STEP_BYTES * size // self.share_bytes) if self._limited else size
        self.share_bytes = min(self.share_bytes + grown, SHARE_MOST_BYTES)

    def refused(self, reason: Reason, now: Instant) -> None:
        """A sending was refused."""
        if reason is Reason.OVERLOADED:
            self._served_until = now + SERVED_FOR_S
        if now < self.not_before:
            return
        self.not_before = now + self._random.uniform(0.5, 1.0) * self._backoff_s
        longest_s = OVERLOADED_BACKOFF_MAX_S if reason in EVERYWHERE else BACKOFF_MAX_S
        grows = LEADERLESS_BACKOFF_GROWS if reason is Reason.NO_LEADER else BACKOFF_GROWS
        self._backoff_s = min(self._backoff_s * grows, longest_s)
        self._halve()

    def is_new_gap(self, now: Instant) -> bool:
        """Whether a gap that is tied to no sending is another one: of many that came without an earlier one, each
        tells of it."""
        return now >= self._gap_at

    def go_back(self, now: Instant) -> None:
        """All is sent again from a gap on: at once, but for one that comes soon after another."""
        self.not_before = max(self.not_before, self._gap_at)
        self._gap_at = max(now, self._gap_at) + self._gap_s
        self._gap_s = min(2 * self._gap_s, GAP_MAX_S)

    def lost(self) -> None:
        """What is under way was not answered in time."""
        self._halve()

    def _halve(self) -> None:
        self._limited = True
        self.share_bytes = max(self.share_bytes // 2, SHARE_LEAST_BYTES)
