"""The numbers that shape a cluster: how long to wait and how much to hold. Units are in the names."""

from __future__ import annotations

from dataclasses import dataclass

DRAIN_S_MAX = 3.0
"""How long a stopping node waits for what it took; then it stops anyway, and clients send again elsewhere."""

CLIENT_FRAME_BYTES = 256 * 1024
"""How much a client puts into one frame and one `Propose`, unless a single command takes more: all of a cluster's
links take at least that."""

CLIENT_FRAME_SPARE_BYTES = 64 * 1024
"""What a client's frame may hold besides its commands: the envelope and the table of lengths."""

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

PROPOSED_PER_TURN_BYTES_MAX = 512 * 1024
"""How many bytes of values a leader puts into slots in one turn before it serves its peers again; one always."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the roles wait, in seconds. Shorter fails over faster and forgives fewer pauses."""

    heartbeat_s: float = 0.1
    """How often a leader tells everybody that it leads."""
    election_s: float = 0.5
    """How long a leader may be silent before others campaign, and how long a leader stays leader
    without hearing from a quorum. Campaigns start after a random time of 1 to 2 times this."""
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
    """How many bytes of commands one slot takes (a single larger batch of a client still gets its own)."""
    window_slots_max: int = 64
    """How many slots may be in flight above the watermark (alpha in "Paxos Made Simple", section 3)."""
    window_bytes_max: int = 2 * 1024 * 1024
    """How many bytes of values are in flight when no more are proposed."""
    pending_bytes_max: int = 16 * 1024 * 1024
    """How many bytes of commands may wait at the leader at most, however fast it is (see `QUEUE_S`); at least
    `command_bytes_max`."""
    sessions_max: int = 65536
    """How many client sessions are remembered; the longest unused is forgotten first."""
    frame_bytes_max: int = 16 * 1024 * 1024
    """The largest frame a node sends or takes from a peer."""
    page_bytes_max: int = 1024 * 1024
    """How many bytes of the log one answer carries, to clients and to learners that catch up."""

    @property
    def client_frame_bytes_max(self) -> int:
        """The largest frame that a gateway takes from a client, whatever limit that client was told of: a connection
        on which a larger one comes is closed, and the client could only send the same again."""
        return max(self.command_bytes_max, COMMAND_BYTES_MAX) + CLIENT_FRAME_SPARE_BYTES
