"""What an address is: a host and a port. The membership file, the daemons and the clients all ask here.

Laws:
1. What is taken here can be looked up or bound as it stands: nothing that passes fails later for its form.
2. One address has one text: numbers are written in their normal form.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

EXAMPLE = "a1:7000, 10.0.0.1:7000 or [::1]:7000"
NAME_CHARACTERS_MAX = 253
LABEL_CHARACTERS_MAX = 63
INTERFACE_CHARACTERS_MAX = 15
"""The longest name that the kernel gives an interface."""

_PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_NUMBER_LIKE = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
_LABEL = re.compile(
    r"(?!-)[A-Za-z0-9_-]+(?<!-)"
)  # the underscore is in no host name of the internet, but in containers'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port; the host `*` stands for all interfaces."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"tcp://{self}"

    @property
    def has_name(self) -> bool:
        """Whether the host is a name, which can stand for other numbers tomorrow."""
        return _number(self.host) is None


def dialled(text: str) -> Endpoint:
    """Where others reach somebody: a host name or an IP address, and a port. Raises `ValueError`, with advice."""
    endpoint = _endpoint(text)
    number = _number(endpoint.host)
    if endpoint.host == "*" or (number is not None and number.is_unspecified):
        raise ValueError(f"{text!r} says where to listen, not where to reach the node; write its host name or address")
    return endpoint


def bound(text: str) -> Endpoint:
    """Where a node listens: an IP address, `*` or an interface, and a port. Raises `ValueError`, with advice."""
    endpoint = _endpoint(text)
    if endpoint.host != "*" and endpoint.has_name:
        if endpoint.host.lower().rstrip(".") == "localhost":
            raise ValueError(f"{text!r} is the name of no interface; write 127.0.0.1:{endpoint.port}")
        if len(endpoint.host) > INTERFACE_CHARACTERS_MAX:
            raise ValueError(f"{text!r} is the name of no interface; write an IP address of this machine, or *")
    return endpoint


def behind(address: Endpoint | None) -> Endpoint | None:
    """Where to listen for what others dial: that very IP address, or all interfaces behind a host name."""
    if address is None or not address.has_name:
        return address
    return Endpoint("127.0.0.1" if address.host.lower().rstrip(".") == "localhost" else "*", address.port)


def _endpoint(text: str) -> Endpoint:
    if "://" in text:
        raise ValueError(f"{text!r} is not host:port; write it without {text.partition('://')[0]!r}, such as {EXAMPLE}")
    host, colon, port = text.rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port with a port from 1 to 65535, such as {EXAMPLE}")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(_in_brackets(host[1:-1], text), int(port))
    if "[" in host or "]" in host:
        raise ValueError(f"{text!r} has one bracket without the other, such as in [::1]:7000")
    if ":" in host:
        raise ValueError(f"{text!r} has a colon in its host; an IPv6 address stands in brackets, such as [::1]:7000")
    return Endpoint(host if host == "*" else _host(host, text), int(port))


def _in_brackets(host: str, text: str) -> str:
    if "%" in host:
        raise ValueError(
            f"{text!r} has a zone, which names an interface of one machine; write an address that all machines can use"
        )
    number = _number(host)
    if number is None:
        raise ValueError(f"{text!r} has no IPv6 address in its brackets, such as [::1]:7000")
    return str(number)


def _host(host: str, text: str) -> str:
    """The host name or IPv4 address; what has nothing but numbers is no name, for systems read numbers into it."""
    labels = host.removesuffix(".").split(".")
    if all(_NUMBER_LIKE.fullmatch(label) for label in labels):
        number = _number(host)
        if number is None:
            raise ValueError(f"{text!r} has no IPv4 address before the colon: four numbers up to 255, as 10.0.0.1:7000")
        return str(number)
    if not host.isascii():
        raise ValueError(f"{text!r} has a host name that is not ASCII; write the form that begins with xn--")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            f"{text!r} has no host name or IP address before the colon: a name has letters, digits, - and _ in parts "
            f"that are joined by single points and neither begin nor end with -, such as {EXAMPLE}"
        )
    if len(host.removesuffix(".")) > NAME_CHARACTERS_MAX or max(map(len, labels)) > LABEL_CHARACTERS_MAX:
        raise ValueError(
            f"{text!r} has too long a host name: at most {NAME_CHARACTERS_MAX} characters, and {LABEL_CHARACTERS_MAX} "
            "between two points"
        )
    return host


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = number.ipv4_mapped if isinstance(number, ipaddress.IPv6Address) else None
    return mapped or number  # versions of Python write a mapped one in different ways
