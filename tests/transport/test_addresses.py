"""What an address is, and that the membership file, the daemon and the client mean the same by it."""

from __future__ import annotations

import pytest

from paxosd import Client, ConfigurationError
from paxosd.config import ConfigError, parse
from paxosd.transport.addresses import Endpoint, behind, bound, dialled
from paxosd.transport.base import TransportError
from paxosd.transport.zeromq.names import address_of

NAME_OF_253 = ".".join(["a" * 49] * 5) + "abcd"

RIGHT = {
    "a1:7000": ("a1", 7000),
    "my_service:1": ("my_service", 1),
    "_a._tcp.example:1": ("_a._tcp.example", 1),
    "proj-db_1.net:65535": ("proj-db_1.net", 65535),
    "a1.example.org.:7000": ("a1.example.org.", 7000),
    "A1:7000": ("A1", 7000),
    "1a:7000": ("1a", 7000),
    "10.0.0.1x:7000": ("10.0.0.1x", 7000),
    "xn--bcher-kva:7000": ("xn--bcher-kva", 7000),
    "10.0.0.1:7000": ("10.0.0.1", 7000),
    "[10.0.0.1]:7000": ("10.0.0.1", 7000),
    "[::1]:7000": ("::1", 7000),
    "[FE80:0::0:1]:7000": ("fe80::1", 7000),
    "[::ffff:10.0.0.1]:7000": ("10.0.0.1", 7000),
    f"{'a' * 63}:7000": ("a" * 63, 7000),
    f"{NAME_OF_253}:7000": (NAME_OF_253, 7000),
}

WRONG = {
    "": "not host:port",
    "a1": "not host:port",
    "a1:": "not host:port",
    ":7000": "not host:port",
    "a1:0": "from 1 to 65535",
    "a1:65536": "from 1 to 65535",
    "a1:07000": "from 1 to 65535",
    "a1:-1": "from 1 to 65535",
    "a1:+1": "from 1 to 65535",
    "a1:1e3": "from 1 to 65535",
    "a1:٣": "from 1 to 65535",
    "a1: 7000": "from 1 to 65535",
    "a1:7000 ": "from 1 to 65535",
    "a1:7000\n": "from 1 to 65535",
    " a1:7000": "no host name",
    "a 1:7000": "no host name",
    "a1\n:7000": "no host name",
    "a\x1b[2J:7000": "bracket",
    "256.1.1.1:7000": "no IPv4 address",
    "1.2.3:7000": "no IPv4 address",
    "1.2.3.4.5:7000": "no IPv4 address",
    "1.2.3.04:7000": "no IPv4 address",
    "7:7000": "no IPv4 address",
    "0x7f.1:7000": "no IPv4 address",
    "0x7f:7000": "no IPv4 address",
    "10.0.0.1.:7000": "no IPv4 address",
    "no..dots:7000": "no host name",
    ".a1:7000": "no host name",
    "a1..:7000": "no host name",
    ".:7000": "no host name",
    "-x:7000": "no host name",
    "x-:7000": "no host name",
    "a.-x.b:7000": "no host name",
    "a/b:7000": "no host name",
    "me@a1:7000": "no host name",
    "a1%eth0:7000": "no host name",
    "büch:7000": "xn--",
    f"{'a' * 64}:7000": "too long",
    f"{'.'.join(['a' * 50] * 5)}:7000": "too long",
    "::1:7000": "stands in brackets",
    "[::1:7000": "one bracket",
    "::1]:7000": "one bracket",
    "[::1]7000": "from 1 to 65535",
    "[]:7000": "no IPv6 address",
    "[a1]:7000": "no IPv6 address",
    "[::1::]:7000": "no IPv6 address",
    "[[::1]]:7000": "no IPv6 address",
    "[fe80::1%eth0]:7000": "zone",
    "[fe80::1%1]:7000": "zone",
    "*:7000": "where to listen",
    "0.0.0.0:7000": "where to listen",
    "[::]:7000": "where to listen",
    "[::ffff:0.0.0.0]:7000": "where to listen",
    "http://a1:7000": "without",
}

FILE = """cluster: test
nodes:
  r1: {{role: replica, address: "n1:6999", client: {text}}}
"""


def quoted(text: str) -> str:
    escaped = "".join(
        letter if letter.isprintable() and letter not in '"\\' else f"\\x{ord(letter):02x}" for letter in text
    )
    return f'"{escaped}"'


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_an_address_is_one_for_the_file_the_daemon_and_the_client(text: str) -> None:
    endpoint = Endpoint(*RIGHT[text])
    config = parse(FILE.format(text=quoted(text)))

    assert dialled(text) == endpoint
    assert config.nodes["r1"].client == endpoint
    assert address_of(f"tcp://{text}") == endpoint
    Client([text, f"tcp://{text}"]).close()


@pytest.mark.parametrize("text", WRONG)
def test_what_is_none_is_refused_by_all_three_in_the_same_words(text: str) -> None:
    with pytest.raises(ValueError, match=WRONG[text]) as refused:
        dialled(text)
    with pytest.raises(ConfigurationError, match="write host:port") as by_client:
        Client([text])
    with pytest.raises(TransportError) as by_transport:
        address_of(f"tcp://{text}")
    with pytest.raises(ConfigError) as by_file:
        parse(FILE.format(text=quoted(text)))

    assert str(refused.value) in str(by_client.value)
    assert str(refused.value) in str(by_transport.value)
    assert "r1.client" in str(by_file.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("localhost:7000", "127.0.0.1"), ("a-name-of-a-host:7000", "no interface"), ("[fe80::1%eth0]:7000", "zone")],
)
def test_what_no_interface_is_called_is_nowhere_to_listen(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bound(text)


@pytest.mark.parametrize("text", ["*:7000", "0.0.0.0:7000", "[::]:7000", "eth0:7000", "eth0.100:7000", "10.0.0.1:7000"])
def test_interfaces_and_all_of_them_are_where_to_listen(text: str) -> None:
    assert str(bound(text)) == text


@pytest.mark.parametrize(
    ("address", "listen"),
    [("a1:7000", "*:7000"), ("LocalHost.:7000", "127.0.0.1:7000"), ("10.0.0.1:7000", "10.0.0.1:7000")],
)
def test_behind_a_name_all_interfaces_are_listened_on(address: str, listen: str) -> None:
    assert str(behind(dialled(address))) == listen


def test_a_client_takes_the_scheme_once_and_the_file_never() -> None:
    Client(["tcp://a1:7000"]).close()
    with pytest.raises(ConfigurationError, match="without 'tcp'"):
        Client(["tcp://tcp://a1:7000"])
    with pytest.raises(ValueError, match="without 'tcp'"):
        dialled("tcp://a1:7000")


def test_a_number_is_compared_by_what_it_means() -> None:
    text = FILE.format(text='"[0:0::1]:7100"') + '  r2: {role: replica, address: "n2:6999", client: "[::1]:7100"}\n'
    with pytest.raises(ConfigError, match=r"is used by nodes\.r1\.client already"):
        parse(text)
