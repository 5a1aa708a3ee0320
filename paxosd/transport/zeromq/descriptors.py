"""File descriptors: how many this process may have, and how they are shared out among those who connect.

Laws:
1. What the process needs for itself comes first, then its peers, then clients.
2. Peers and clients have no descriptor in common: no number of clients keeps a peer out.
"""

from __future__ import annotations

import resource
from contextlib import suppress

DESCRIPTORS_MAX = 65536
"""More than this is not asked for."""
OWN_DESCRIPTORS = 64
"""For the store, the log, libzmq's own, look-ups of names, and what is closed but not gone yet."""
OWN_PER_PEER = 8
"""For the link to each peer: its connection, its socket, what tells of it, and a second of each while it changes."""
PEER_CONNECTIONS_MAX = 256
"""Each peer needs one, and for a moment a second one when it comes back."""
CLIENT_CONNECTIONS_MAX = 2048


def raise_limit() -> None:
    """Let this process have as many as its hard limit allows. Not for a library: it is for the whole process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # what there is has to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return DESCRIPTORS_MAX if soft == resource.RLIM_INFINITY else min(soft, DESCRIPTORS_MAX)


def shares(peers: int, descriptors: int) -> tuple[int, int]:
    """How many connections of peers and how many of clients are kept, of so many descriptors in all."""
    room = descriptors - OWN_DESCRIPTORS - OWN_PER_PEER * peers
    of_peers = max(2 * peers + 2, min(PEER_CONNECTIONS_MAX, room // 4))
    return of_peers, max(2, min(CLIENT_CONNECTIONS_MAX, room - of_peers))
