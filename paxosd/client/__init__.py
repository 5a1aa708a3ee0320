"""The client library: a pure `session.py`, with one thread around it (`worker.py`) or the loop of asyncio (`aio/`)."""

from paxosd.client.aio.client import AsyncClient
from paxosd.client.client import Client
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
from paxosd.client.future import Future
from paxosd.client.outcomes import CommandOutcome, NeverApplied, NoLongerKnown, Receipt, WasApplied
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
]
