"""The client library: a pure `session.py`, and a thin shell with one thread around it, `client.py`."""

from paxosd.client.client import Client
from paxosd.client.session import Receipt

__all__ = ["Client", "Receipt"]
