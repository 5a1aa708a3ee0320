"""The verbs of the keys, by a client of threads."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator

import pytest

from paxosd.client.client import Client
from paxosd.client.errors import ConfigurationError, Conflict, HoldLost, KeysRefused
from paxosd.machine.kv.requests import Put
from tests.client.keys_world import KeysCluster


@pytest.fixture
def cluster() -> Iterator[KeysCluster]:
    made = KeysCluster()
    yield made
    made.close()


@pytest.fixture
def client(cluster: KeysCluster) -> Iterator[Client]:
    with cluster.client() as made:
        yield made


def test_what_was_put_is_got_and_missing_is_not_empty(client: Client) -> None:
    receipt = client.put("a", b"", previous=True)
    found = client.get(b"a")

    assert (receipt.previous, client.get("b")) == (None, None)
    assert found is not None
    assert (found.value, found.create_revision, found.version) == (b"", receipt.revision, 1)


def test_a_condition_that_does_not_hold_changes_nothing_and_has_the_key(client: Client) -> None:
    first = client.put("a", b"1", if_absent=True)
    with pytest.raises(Conflict) as raised:
        client.put("a", b"2", if_absent=True)
    client.put("a", b"3", if_revision=first.revision)
    with pytest.raises(Conflict):
        client.delete("a", if_revision=first.revision)

    assert raised.value.current is not None
    assert (raised.value.current.value, client.get_range(prefix="").items[0].value) == (b"1", b"3")


def test_many_puts_may_be_under_way_and_what_is_refused_is_an_error(client: Client) -> None:
    with client.lease(30) as lease:
        futures = [client.put_async("a", b"%d" % number, lease) for number in range(50)]
        revisions = [future.result(5).revision for future in futures]
    refused = client.put_async("a", b"too late", lease)

    assert revisions == list(range(revisions[0], revisions[0] + 50))
    assert isinstance(refused.exception(5), HoldLost)
    assert isinstance(concurrent.futures.wait([refused], 5).done.pop().exception(), HoldLost)


def test_a_put_under_way_takes_the_conditions_of_a_put(client: Client) -> None:
    first = client.put_async("a", b"1", if_absent=True).result(5)
    refused = [client.put_async("a", b"2", if_absent=True), client.put_async("a", b"2", if_revision=first.revision + 1)]
    second = client.put_async("a", b"3", if_revision=first.revision).result(5)
    errors = [future.exception(5) for future in refused]

    assert second.revision > first.revision
    assert [type(error) for error in errors] == [Conflict, Conflict]
    assert [error.current.value for error in errors if isinstance(error, Conflict) and error.current] == [b"1", b"1"]
    with pytest.raises(ValueError, match="give if_absent or if_revision"):
        client.put_async("a", b"4", if_absent=True, if_revision=1)


def test_a_put_under_way_with_a_condition_has_its_lease_too(client: Client) -> None:
    with client.lease(30) as lease:
        client.put_async("a", b"", lease, if_absent=True).result(5)
        kept = client.get("a")

    assert kept is not None
    assert kept.lease == lease.id


@pytest.mark.parametrize("key", ["", b""])
def test_an_empty_key_is_none_for_any_verb(key: str | bytes, client: Client, cluster: KeysCluster) -> None:
    for verb in (
        lambda: client.put(key, b""),
        lambda: client.put_async(key, b""),
        lambda: client.get(key),
        lambda: client.get_range(key),
        lambda: client.delete(key),
        lambda: client.watch(key),
        lambda: client.get_and_watch(key),
    ):
        with pytest.raises(ValueError, match="a key is not empty"):
            verb()
    with pytest.raises(KeysRefused):
        client.txn([], [Put(b"", b"")])
    assert cluster.keys() == {}


def test_ranges_and_prefixes(client: Client) -> None:
    for key in (b"a", b"a/1", b"a/2", b"b", b"\xff", b"\xff\xff"):
        client.put(key, b"")

    assert [item.key for item in client.get_range(prefix="a/").items] == [b"a/1", b"a/2"]
    assert [item.key for item in client.get_range(prefix=b"\xff").items] == [b"\xff", b"\xff\xff"]
    assert client.get_range(prefix="", limit=2, descending=True).items[0].key == b"\xff\xff"
    assert client.delete("a", "b").deleted == 3
    assert client.get_range(prefix=b"", count_only=True).count == 3


def test_a_key_and_a_value_are_checked_before_anything_is_sent(client: Client, cluster: KeysCluster) -> None:
    for wrong in (lambda: client.put("a", "text"), lambda: client.put(5, b""), lambda: client.get(None)):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            wrong()
    for meaningless in (lambda: client.get(""), lambda: client.put("a", b"", if_absent=True, if_revision=4)):
        with pytest.raises(ValueError, match="key"):
            meaningless()

    assert cluster.applied == []


def test_keys_of_a_lease_go_when_it_is_closed(client: Client, cluster: KeysCluster) -> None:
    with client.lease(30) as lease:
        client.put("a", b"", lease=lease)
        assert not lease.lost.is_set()
    client.put("b", b"")

    assert list(cluster.keys()) == [b"b"]


def test_keys_that_say_what_nobody_can_read_end_the_call_and_not_the_client(
    client: Client, cluster: KeysCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cluster.kv, "apply", lambda *_: [b""])
        with pytest.raises(ConfigurationError, match="cannot read"):
            client.put("a", b"")

    assert client.put("a", b"").revision
