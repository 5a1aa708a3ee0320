"""The client library: a pure `session.py`, one thread around it in `worker.py`, and a thin shell, `client.py`."""

from paxosd.client.calls import Receipt
from paxosd.client.client import Client
from paxosd.client.errors import (
    BeyondEnd,
    ClientClosed,
    Compacted,
    ConfigurationError,
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
    WrongCluster,
    WrongHistory,
)
from paxosd.client.future import Future
from paxosd.core.messages import NodeStatus, StatusReport
from paxosd.core.types import Entry

__all__ = [
    "BeyondEnd",
    "Client",
    "ClientClosed",
    "Compacted",
    "ConfigurationError",
    "Entry",
    "Future",
    "NoQuorum",
    "NoSpace",
    "NodeStatus",
    "OutOfResources",
    "Overloaded",
    "PaxosError",
    "ProposeTimeout",
    "QuestionRefused",
    "ReadTimeout",
    "Receipt",
    "ResultDropped",
    "SessionExpired",
    "StatusReport",
    "TooLarge",
    "Unavailable",
    "WrongCluster",
    "WrongHistory",
]
