"""What a leader's ballot is bound to: whose votes count in it, what phase 1 told, and the decree that ends it.

Laws:
1. In a slot for which phase 1 told votes, it proposes the value of the highest; it invents a no-op only in
   a slot below such a one for which its whole quorum told nothing.
2. Above a decree it proposes nothing in the same ballot. Once the decree and all below are chosen, it takes up what is
   decreed and prepares anew; what waits, waits on (`voters.py`, law 3).
3. A history is born only of disks that continue the same (`continuing.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from paxosd.core.candidate import Candidate
from paxosd.core.decrees import Birth, Decree, after, decree_of, encode_decree
from paxosd.core.guests import Guests
from paxosd.core.membership import Membership
from paxosd.core.options import Timing
from paxosd.core.phase1 import PhaseOne
from paxosd.core.standstill import told_half_born, told_unlike
from paxosd.core.types import FIRST_SLOT, HISTORY_BYTES, NO_DISK, Instant, NodeId, Slot, disk_text
from paxosd.core.values import encode_value
from paxosd.core.voters import NO_VOTERS, Count


class Bound(Candidate):
    """A proposer, as far as it is about what its ballot is bound to."""

    def __init__(
        self,
        node_id: NodeId,
        membership: Membership,
        timing: Timing,
        random: Random,
        without: Collection[NodeId] = (),
    ) -> None:
        super().__init__(node_id, membership, timing, random, without)
        self._voting = Count(NO_VOTERS)  # whose votes count in phase 2: before the birth, those that it names
        self._birth: Birth | None = None  # what we propose, or are bound to, while nobody is born
        self._guests = Guests(Count(NO_VOTERS), timing.election_s, 0.0)
        self._took_part: set[NodeId] = set()  # who promised or voted in our ballot
        self._votes_wanted_at: Instant = 0.0  # from when on a guest may ask for them again
        self._decree: tuple[Slot, Decree] | None = None  # the one that this ballot proposed; nothing goes above it
        self._recovered_stop: Slot = FIRST_SLOT  # slots below are bound by phase 1; at it we open with our own no-op

    # ---- who votes ----

    def _settle_who_votes(self, phase1: PhaseOne, now: Instant) -> bool:
        """Whose votes count in this ballot: before the birth those that it names, the one that is told or a new one."""
        self._voting, self._birth = self._count, None
        if self.voters.are_named:
            return True
        told = phase1.decree(self.watermark)
        if told is not None and isinstance(told[1], Birth):
            voters = told[1].voters(told[0])
            self._voting = Count(voters)
            return not self._is_hopeless("history.half_born", told_half_born(voters, phase1.disks), now)
        pasts = set(phase1.pasts.values())
        unlike = told_unlike(self._file_quorum, phase1.pasts) if len(pasts) > 1 else ""
        if self._is_hopeless("history.disks_differ", unlike, now):
            return False
        self._birth = self._new_birth(phase1, pasts.pop())
        self._voting = Count(self._birth.voters(phase1.stop))
        return True

    def _is_hopeless(self, event: str, why: str, now: Instant) -> bool:
        """Whether nothing can be chosen in this ballot, nor in a later one with these disks: said once."""
        if why and not self.loss:
            self.warn(event, what=why)
        if why:
            self.loss = why
            self._follow("a history cannot begin with these disks", now)
        return bool(why)

    def _new_birth(self, phase1: PhaseOne, past: bytes) -> Birth:
        history = self._random.getrandbits(8 * HISTORY_BYTES).to_bytes(HISTORY_BYTES, "big")
        quorum, disks = self._file_quorum, phase1.disks
        named = tuple((node, disks.get(node, NO_DISK), quorum.weights[node]) for node in self._acceptors)
        return Birth(history, past, quorum.prepare, quorum.accept, named)

    def _bind(self, phase1: PhaseOne, now: Instant) -> None:
        """Begin to lead with what phase 1 told."""
        self._decree = None
        self._recovered_stop = max(phase1.stop, self.watermark)
        self._took_part = phase1.done
        self._guests = Guests(self._count, self._timing.election_s, now)

    # ---- what is proposed ----

    def _bound_value(self, slot: Slot, now: Instant) -> bytes:
        """What phase 1 binds this slot to, or a no-op: to fill a hole, and once to open the leadership, or the
        history."""
        assert self._phase1 is not None
        bound = self._phase1.value(slot)
        if bound is None and slot == self._recovered_stop and self._birth is not None:
            bound = encode_decree(self._log_time.stamp(now), self._birth)
        if bound is None:
            return encode_value(self._log_time.stamp(now))
        decree = decree_of(bound)
        if decree is not None:
            self._decree = slot, decree
        return bound

    def _decree_about_guests(self, slot: Slot, heard: set[NodeId], now: Instant) -> bytes | None:
        """A decree for this slot, if one is due. `heard`: the acceptors that answered of late."""
        decree = self._guests.decree(self._took_part.intersection(heard), now)
        if decree is None:
            return None
        self._decree = slot, decree
        return encode_decree(self._log_time.stamp(now), decree)

    def _guests_want_votes(self, heard: set[NodeId], now: Instant) -> bool:
        """Whether a guest waits only for those that are heard to take part: who promised too late for this ballot votes
        in it where something is proposed, and in an idle log nothing is. Once in an election timeout."""
        if now < self._votes_wanted_at or self._guests.decree(heard, now) is None:
            return False
        self._votes_wanted_at = now + self._timing.election_s
        return True

    # ---- what is decreed ----

    def _take_up_decree(self, slot: Slot, decree: Decree) -> None:
        """It is chosen, and so is all below it: from here on others vote."""
        self.take_up(after(self.voters, slot, decree))
        match decree:
            case Birth(history):
                self.report("history.born", history=history.hex(), slot=slot)
            case _:
                self.report("disk.admitted", node=decree.node, disk=disk_text(decree.new), slot=slot)
