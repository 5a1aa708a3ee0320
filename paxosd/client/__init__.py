"""The client library: a pure `session.py`, and a thin shell with one thread around it, `client.py`."""

from paxosd.client.calls import Receipt
from paxosd.client.client import Client, Future
from paxosd.client.errors import (
    ClientClosed,
    ConfigurationError,
    NoQuorum,
    Overloaded,
    PaxosError,
    ProposeTimeout,
    ReadTimeout,
    SessionExpired,
    TooLarge,
    Unavailable,
    WrongCluster,
)
from paxosd.core.messages import NodeStatus, StatusReport
from paxosd.core.types import Entry

__all__ = [
    "Client",
    "ClientClosed",
    "ConfigurationError",
    "Entry",
    "Future",
    "NoQuorum",
    "NodeStatus",
    "Overloaded",
    "PaxosError",
    "ProposeTimeout",
    "ReadTimeout",
    "Receipt",
    "SessionExpired",
    "StatusReport",
    "TooLarge",
    "Unavailable",
    "WrongCluster",
]
