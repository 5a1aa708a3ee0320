"""paxosd: a replicated log by Multi-Paxos.

from paxosd import Client

with Client.from_config("config/cluster.yaml") as client:
    receipt = client.propose(b"hello", timeout=5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paxosd.client import Client

__all__ = ["Client", "__version__"]
__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    # Loaded at first use, so that `paxosd health` need not import a messaging library.
    if name == "Client":
        from paxosd.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
