"""paxosd: a replicated log by Multi-Paxos.

from paxosd import Client, NoQuorum

with Client.from_config("config/cluster.yaml") as client:
    receipt = client.propose(b"hello", timeout=5)

Everything that can be imported from here is in `__all__`; other modules may change in any version.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import would take longer than all else before a signal is handled
if TYPE_CHECKING:
    from paxosd.client import (
        AsyncClient,
        Client,
        CommandOutcome,
        Future,
        NeverApplied,
        NoLongerKnown,
        Receipt,
        WasApplied,
    )
    from paxosd.client.errors import (
        BeyondEnd,
        ClientClosed,
        Compacted,
        ConfigurationError,
        Conflict,
        HoldLost,
        KeysRefused,
        NoQuorum,
        NoSpace,
        OutOfResources,
        Overloaded,
        PaxosError,
        ProposeTimeout,
        QuestionRefused,
        ReadTimeout,
        ResultDropped,
        SessionExpired,
        TooLarge,
        Unavailable,
        WaitTimeout,
        Withdrawn,
        WrongCluster,
        WrongHistory,
    )
    from paxosd.client.reads import LINEARIZABLE, LOCAL, SESSION, AtLeast, MaxAge, Read
    from paxosd.client.upkeep import ConnectionState
    from paxosd.core.messages import NodeStatus, StatusReport
    from paxosd.core.types import Entry
    from paxosd.machine.kv.records import KeyValue

__all__ = [
    "LINEARIZABLE",
    "LOCAL",
    "SESSION",
    "AsyncClient",
    "AtLeast",
    "BeyondEnd",
    "Client",
    "ClientClosed",
    "CommandOutcome",
    "Compacted",
    "ConfigurationError",
    "Conflict",
    "ConnectionState",
    "Entry",
    "Future",
    "HoldLost",
    "KeyValue",
    "KeysRefused",
    "MaxAge",
    "NeverApplied",
    "NoLongerKnown",
    "NoQuorum",
    "NoSpace",
    "NodeStatus",
    "OutOfResources",
    "Overloaded",
    "PaxosError",
    "ProposeTimeout",
    "QuestionRefused",
    "Read",
    "ReadTimeout",
    "Receipt",
    "ResultDropped",
    "SessionExpired",
    "StatusReport",
    "TooLarge",
    "Unavailable",
    "WaitTimeout",
    "WasApplied",
    "Withdrawn",
    "WrongCluster",
    "WrongHistory",
    "__version__",
]
__version__ = "0.3.0"


def __getattr__(name: str) -> object:
    # Loaded at first use, so that `paxosd health` need not import a messaging library.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import paxosd.client

    found = globals()[name] = getattr(paxosd.client, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
