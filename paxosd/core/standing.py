"""The standing of an acceptor's own disk: under which id it is known, and whether it may vote.

Laws:
1. Before the birth every disk may vote, unless the node has heard of a history: who knows one never helps to begin
   another.
2. After it, the disk that the voters name may: at once if the birth names it, for then it promised, and else once it
   has copied what it must know (`copying.py`).
3. A disk that was there before this process is voted with only once the others know nothing of it that it does not
   know itself (`participant.py`).
4. An id is used once. A disk that promised something and is not named any more draws another id, with which it is a
   guest, and has voted for nothing: its votes go. They may be of another history, whose birth it helped to decide
   before it knew of this one; told here, they would bind a ballot, or be taken for what is chosen. A guest that is
   found draws another id, too: it may be a copy, and another copy may have been named, and have voted.
5. It votes for no birth that continues something else than what it holds: that is of a cluster that was restored, or
   not, and has the same membership file.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from paxosd.core.continuing import Continues
from paxosd.core.decrees import Birth, decree_of
from paxosd.core.records import Disk, Promised, Record, Upgraded
from paxosd.core.types import NO_DISK, DiskId, NodeId
from paxosd.core.voters import Voters

GUEST = "guest"
COPYING = "copying"
COPIES = "copies slot"
"""How it is said, for people, that another disk is named, and that a disk copies; the last one says how far."""


def is_copying(text: str) -> bool:
    """Whether an acceptor said so of its disk."""
    return text.startswith((COPYING, COPIES))


class Standing:
    """The disk of one acceptor. `random` draws its ids."""

    def __init__(self, node_id: NodeId, random: Random) -> None:
        self.disk: DiskId = NO_DISK
        self.copied = False
        self.used = False
        self.sure = False  # it did not go back in time, as far as anybody knows (law 3)
        self.past = b""
        self._node = node_id
        self._random = random

    def restore(self, records: Iterable[Record]) -> bool:
        """Take up what an earlier life made durable. False: it has a new id, which has to be made durable."""
        known = promised = False
        for record in records:
            match record:
                case Disk(disk, copied, used):
                    self.disk, self.copied, self.used, known = disk, copied, used, True
                case Promised():
                    promised = True
                case Upgraded(from_format):
                    self.past = b"format %d" % from_format
                case Continues():
                    self.past = record.past
        if not known:
            self.draw()
            self.used = promised
        return known

    @property
    def record(self) -> Disk:
        """What has to be durable of it."""
        return Disk(self.disk, self.copied, self.used)

    def draw(self) -> None:
        """Be another disk from now on, which has promised nothing and copied nothing."""
        self.disk = 1 + self._random.getrandbits(62)
        self.copied = self.used = False
        self.sure = True

    def votes(self, voters: Voters) -> bool:
        """Whether it may promise and vote (laws 1 and 2)."""
        if not voters.are_named:
            return not voters.history
        return self.sure and self.is_named(voters) and (self.copied or not self._is_new(voters))

    def may_found(self, value: bytes) -> bool:
        """Whether it may vote for this value where no history is known (law 5)."""
        decree = decree_of(value)
        return not isinstance(decree, Birth) or decree.continues == self.past

    def must_copy(self, voters: Voters) -> bool:
        """Whether it is named, and does not know yet what it must."""
        return self.is_named(voters) and self._is_new(voters) and not self.copied

    def is_outlived(self, voters: Voters) -> bool:
        """Whether it needs another id before it can be named (law 4)."""
        return voters.are_named and self.used and not self.is_named(voters)

    def is_named(self, voters: Voters) -> bool:
        """Whether these voters mean this very disk."""
        return self.disk != NO_DISK and voters.disk_of(self._node) == self.disk

    def _is_new(self, voters: Voters) -> bool:
        voter = voters.voter(self._node)
        return voter is not None and voter.since > voters.birth

    def text(self, voters: Voters) -> str:
        """In one word, for people."""
        if not voters.are_named:
            return "waits for the others" if voters.history else "unborn"
        if not self.is_named(voters):
            return GUEST
        if not self.sure:
            return "asks the others"
        return "voter" if self.votes(voters) else COPYING
