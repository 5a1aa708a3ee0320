"""The numbers that shape a cluster: how long to wait and how much to hold. Units are in the names."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.values import BATCH_BYTES, STAMP_BYTES

DRAIN_S_MAX = 3.0
"""How long a stopping node waits for what it took; then it stops anyway, and clients send again elsewhere."""

CLIENT_FRAME_BYTES = 256 * 1024
"""How much a client puts into one frame and one `Propose`, unless a single command takes more: all of a cluster's
links take at least that."""

CLIENT_FRAME_SPARE_BYTES = 64 * 1024
"""What a client's frame may hold besides its commands: the envelope and the table of lengths."""

BODY_TABLE_BYTES_MAX = 32 * 1024
"""What a body may hold besides its commands: the table of their lengths, four bytes for each."""

MESSAGE_BYTES_MAX = 1024
"""More than a frame ever holds around the one value of a message: the envelope, the ballots and the numbers."""

COMMAND_BYTES_MAX = 1024 * 1024
"""The largest command unless the membership file says otherwise, and for a client that was told of none."""

QUEUE_S = 0.25
"""How long a command may wait at a leader before it is proposed; what would wait longer is refused at once."""

REFUSES_S = 0.05
"""How long a gateway that heard of a full leader refuses commands by itself: a small part of `QUEUE_S`, so that the
leader still has enough to do until it is asked again."""

PENDING_LEAST_BYTES = 2 * 1024 * 1024
"""How many bytes of commands may always wait at a leader, unless `pending_bytes` is less: how fast a quiet one is
nobody knows yet."""

BEHIND_SLOTS = 1024
"""From how many slots on a node that has not applied them is said to be behind; under load it always lacks some."""

PROPOSED_PER_TURN_BYTES_MAX = 512 * 1024
"""How many bytes of values a leader puts into slots in one turn before it serves its peers again; one always."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the roles wait, in seconds. Shorter fails over faster and forgives fewer pauses."""

    heartbeat_s: float = 0.1
    """How often a leader tells everybody that it leads."""
    election_s: float = 0.5
    """How long a leader may be silent before others campaign, and how long a leader stays leader
    without hearing from a quorum. Campaigns start after a random time of 1 to 1.4 times this."""
    retry_s: float = 0.2
    """How long to wait for an answer before a message to a peer is sent again."""
    ping_s: float = 1.0
    """How often a gateway asks every node how it is, for `paxosctl status`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be held or sent. Everything that can grow has a bound here."""

    command_bytes_max: int = COMMAND_BYTES_MAX
    """The largest value of one `propose`."""
    value_bytes_max: int = 1024 * 1024
    """How many bytes of several clients' batches are put into one slot. One batch may be larger, and then has a slot
    for itself: see `slot_bytes_max`."""
    window_slots_max: int = 64
    """How many slots may be in flight above the watermark (alpha in "Paxos Made Simple", section 3)."""
    window_bytes_max: int = 2 * 1024 * 1024
    """How many bytes of values are in flight when no more are proposed."""
    pending_bytes_max: int = 16 * 1024 * 1024
    """How many bytes of commands may wait at the leader at most, however fast it is (see `QUEUE_S`); at least
    `command_bytes_max`."""
    sessions_max: int = 100_000
    """How many client sessions are remembered; the client that has the most loses its longest unused one first."""
    frame_bytes_max: int = 16 * 1024 * 1024
    """The largest frame a node sends or takes from a peer."""
    page_bytes_max: int = 1024 * 1024
    """How many bytes of the log one answer carries, to clients and to learners that catch up."""

    @property
    def client_frame_bytes_max(self) -> int:
        """The largest frame that a gateway takes from a client, whatever limit that client was told of: a connection
        on which a larger one comes is closed, and the client could only send the same again."""
        return max(self.command_bytes_max, COMMAND_BYTES_MAX) + CLIENT_FRAME_SPARE_BYTES

    @property
    def body_bytes_max(self) -> int:
        """The largest body of one sending of a client: one command, or what our client puts into one `Propose`."""
        return max(self.command_bytes_max, CLIENT_FRAME_BYTES) + BODY_TABLE_BYTES_MAX

    @property
    def slot_bytes_max(self) -> int:
        """The largest value that a leader makes (see `values.py` for what stands around a body)."""
        return STAMP_BYTES + max(self.value_bytes_max, BATCH_BYTES + self.body_bytes_max)

    @property
    def carried_bytes_max(self) -> int:
        """The largest value that fits every message that carries one; the membership file sees to it that no slot
        takes more. A larger one, of a wrong member, is refused: once voted for, it could never be told again."""
        return self.frame_bytes_max - MESSAGE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the log is kept for readers at least; None: this is no bound. Without any it is kept for ever."""

    entries: int | None = None
    """So many of the latest commands of the machine `log`."""
    bytes: int | None = None
    """So many bytes of the latest commands of all machines."""
    age_ms: int | None = None
    """What was applied within so many milliseconds of log time."""

    @property
    def is_for_ever(self) -> bool:
        """Whether nothing of the log ever goes."""
        return self.entries is None and self.bytes is None and self.age_ms is None
