"""How every node was when it was last heard of, as one gateway sees it."""

from __future__ import annotations

from collections.abc import Iterator

from paxosd.core.membership import Membership
from paxosd.core.messages import (
    DiskSpace,
    NodeStatus,
    Pong,
    StatusReport,
)
from paxosd.core.shares import Shares
from paxosd.core.space import space_of
from paxosd.core.standing import GUEST, is_copying
from paxosd.core.standstill import told_missing, told_unborn
from paxosd.core.types import (
    NO_BALLOT,
    NO_DISK,
    SENTENCE_CHARS_MAX,
    Ballot,
    ClientAddress,
    HistoryId,
    Instant,
    NodeId,
    Revision,
    Sentence,
)
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.gateway.progress import Speed

ASKED_MAX = 256
"""How many status requests may wait for one round of pings; each is answered with a row for every node."""
ASKED_PER_CLIENT_MAX = 8
"""How many of them may be one client's."""


class StatusBoard:
    """The latest answer of every node, and the clients that wait for fresh ones."""

    def __init__(self, node_id: NodeId, cluster: str, membership: Membership) -> None:
        self.cluster = cluster
        self._node_id = node_id
        self._quorum = membership.quorum
        self._roles = {node: role.value for node, role in membership.roles.items()}
        self.others = tuple(node for node in membership.nodes if node != node_id)
        self._heard: dict[NodeId, tuple[Instant, Pong]] = {}
        self._spaces: dict[NodeId, DiskSpace] = {}
        self._speeds: dict[NodeId, Speed] = {}
        self._asked: Shares[ClientAddress, int] = Shares()
        self._sequence = 0

    @property
    def asked(self) -> bool:
        return bool(self._asked)

    def ask(self, client: ClientAddress, request: int) -> bool:
        """Let a request wait for answers of all nodes. False: one is forgotten, perhaps this one, and asked again."""
        if self._asked.of(client) >= ASKED_PER_CLIENT_MAX:
            return False
        self._asked.use(client, request)
        if len(self._asked) <= ASKED_MAX:
            return True
        self._asked.drop(*self._asked.next_to_go)
        return False

    def take_asked(self) -> list[tuple[ClientAddress, int]]:
        asked, self._asked = list(self._asked), Shares()
        return asked

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def hear(self, node: NodeId, pong: Pong, now: Instant) -> None:
        self._heard[node] = (now, pong)
        self._speeds.setdefault(node, Speed()).note(pong.applied, now)

    def hear_space(self, node: NodeId, told: DiskSpace) -> None:
        """A member tells how much room its disk has."""
        self._spaces[node] = told

    @property
    def is_short(self) -> bool:
        """Whether the disk of this node is nearly full."""
        return space_of(self._spaces.get(self._node_id, _UNKNOWN).space).is_short

    def rows(self, now: Instant, silent_after_s: float, voters: Voters = NO_VOTERS) -> tuple[NodeStatus, ...]:
        """One row per node; a node is reachable if it answered within the last `silent_after_s` seconds."""
        return tuple(self._row(node, role, now, silent_after_s, voters) for node, role in self._roles.items())

    def speaking(self, now: Instant, silent_after_s: float) -> dict[NodeId, Pong]:
        """The latest answer of each node that is reachable."""
        return {node: pong for node, (at, pong) in self._heard.items() if now - at < silent_after_s}

    def standstill(self, voters: Voters, now: Instant, silent_after_s: float) -> Sentence:
        """What keeps everybody from leading, as far as can be told from what nodes said; else nothing."""
        spoke = self.speaking(now, silent_after_s)
        disks = {node: pong.disk for node, pong in spoke.items() if pong.disk != NO_DISK}
        copying = {node for node, pong in spoke.items() if is_copying(pong.standing)}
        if told := told_missing(voters, disks, copying):
            return told[:SENTENCE_CHARS_MAX]
        if alarm := next((pong.alarm for pong in spoke.values() if pong.alarm), ""):
            return alarm
        if voters.history or not spoke:
            return ""
        waits_for = next((pong.waits_for for pong in spoke.values() if pong.waits_for), "")
        return told_unborn(self._quorum, waits_for.split(", ") if waits_for else ())[:SENTENCE_CHARS_MAX]

    def reports(
        self,
        rows: tuple[NodeStatus, ...],
        leader: str,
        ballot: Ballot,
        revision: Revision,
        history: HistoryId,
        why: Sentence,
    ) -> Iterator[tuple[ClientAddress, StatusReport]]:
        """The answers to all that wait; they wait no more."""
        applied = next(row.applied for row in rows if row.node == self._node_id)
        facts = leader, ballot, max(row.watermark for row in rows), applied, revision, rows, history, why
        for client, request in self.take_asked():
            yield client, StatusReport(request, self.cluster, self._node_id, *facts)

    def _row(self, node: NodeId, role: str, now: Instant, silent_after_s: float, voters: Voters) -> NodeStatus:
        if node not in self._heard:
            return NodeStatus(node, role, False, -1, False, NO_BALLOT, 0, 0, 0)
        at, pong = self._heard[node]
        reachable = now - at < silent_after_s
        silent_ms = int((now - at) * 1000)
        leading = pong.leading and reachable
        disk = self._spaces.get(node, _UNKNOWN)
        return NodeStatus(
            node,
            role,
            reachable,
            silent_ms,
            leading,
            pong.ballot,
            pong.watermark,
            pong.applied,
            pong.revision,
            disk.space,
            disk.data_bytes,
            disk.room_bytes,
            disk.refuses and leading,
            self._speeds[node].per_s,
            pong.history,
            pong.disk,
            _standing(node, pong, voters) if reachable else "",
            pong.waits_for if reachable else "",
            pong.alarm if reachable else "",
        )


def _standing(node: NodeId, pong: Pong, voters: Voters) -> str:
    """Whether its disk votes. What it said may be a moment old: by now another disk may vote in its place."""
    named = voters.disk_of(node)
    return GUEST if pong.standing == "voter" and named not in (NO_DISK, pong.disk) else pong.standing


_UNKNOWN = DiskSpace(0, 0, 0, False)
