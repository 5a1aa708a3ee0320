"""The public `Client`: against three real replicas on loopback, against gateways that are silent, and alone."""

from __future__ import annotations

import array
import copy
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paxosd import (
    BeyondEnd,
    Client,
    ClientClosed,
    Compacted,
    ConfigurationError,
    NoQuorum,
    Overloaded,
    PaxosError,
    ProposeTimeout,
    ReadTimeout,
    TooLarge,
    Unavailable,
    WrongCluster,
)
from paxosd.client.outbox import WINDOW_COMMANDS_MAX
from paxosd.core.messages import Applied, OpenSession, Propose, SessionOpened
from paxosd.wire.frames import Codec
from tests.system.daemons import REPLICAS, DaemonCluster, free_ports

COMMAND_BYTES_MAX = 10_000
SLACK_S = 1.0
"""How much later than its timeout a call may end on a machine that is busy."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    limits = f"limits: {{command_bytes: {COMMAND_BYTES_MAX}}}"
    with DaemonCluster(tmp_path_factory.mktemp("cluster"), REPLICAS, limits) as running:
        yield running


@pytest.fixture
def client(cluster: DaemonCluster) -> Iterator[Client]:
    with cluster.client() as made:
        yield made


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a gateway that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dead() -> str:
    """An address where nobody listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"


def within(timeout_s: float, call: Callable[[], object]) -> PaxosError:
    """The error that this call ends with, no later than its timeout and not much sooner."""
    started = time.monotonic()
    with pytest.raises(PaxosError) as lost:
        call()
    took_s = time.monotonic() - started
    assert timeout_s - 0.05 <= took_s <= timeout_s + SLACK_S
    return lost.value


# ---- proposing and reading -----------------------------------------------------------------------


def test_a_value_gets_the_next_revision_and_is_read_back_under_it(client: Client) -> None:
    first = client.propose(b"first")
    second = client.propose(b"", timeout=5)

    assert second.revision == first.revision + 1
    assert second.slot > first.slot
    assert [(entry.revision, entry.slot, entry.value) for entry in client.log(start=first.revision)] == [
        (first.revision, first.slot, b"first"),
        (second.revision, second.slot, b""),
    ]


def test_pipelined_values_are_applied_in_the_order_of_the_calls(client: Client) -> None:
    futures = [client.propose_async(b"p%d" % number) for number in range(500)]
    receipts = [future.result(timeout=10) for future in futures]

    assert [receipt.revision - receipts[0].revision for receipt in receipts] == list(range(500))
    assert all(future.done() and future.exception() is None for future in futures)
    assert futures[7].result() == receipts[7]


def test_threads_that_wait_for_one_result_all_get_it_though_one_of_them_gave_up(cluster: DaemonCluster) -> None:
    with cluster.client(timeout=20) as client, ThreadPoolExecutor(3) as threads:
        before = client.propose(b"before")
        cluster.pause(*REPLICAS)
        try:
            future = client.propose_async(b"for all")
            patient = [threads.submit(future.result, 100) for _ in range(2)]
            hasty = threads.submit(future.result, 0.05)
            with pytest.raises(TimeoutError):
                hasty.result()
        finally:
            cluster.resume(*REPLICAS)

        assert {waiting.result(20).revision for waiting in patient} == {before.revision + 1}


def test_another_client_reads_what_this_one_was_promised(client: Client, cluster: DaemonCluster) -> None:
    receipt = client.propose(b"promised")
    for node in cluster.gateways:
        with cluster.client([node]) as other:
            assert [entry.value for entry in other.log(start=receipt.revision)][:1] == [b"promised"]


def test_a_reader_that_follows_is_given_what_comes_later(client: Client, cluster: DaemonCluster) -> None:
    start = client.propose(b"seen").revision
    with cluster.client() as reader:
        entries = reader.log(start=start, follow=True)
        seen = [next(entries).value]
        for number in range(3):
            client.propose(b"later %d" % number)
            seen.append(next(entries).value)

    assert seen == [b"seen", b"later 0", b"later 1", b"later 2"]


def test_reading_from_beyond_the_end_gives_nothing(client: Client) -> None:
    end = client.propose(b"the last").revision

    assert list(client.log(start=end + 1)) == []


@pytest.mark.parametrize("follow", [False, True])
def test_a_read_that_starts_beyond_what_comes_next_is_told_where_the_log_ends(client: Client, follow: bool) -> None:
    end = client.propose(b"the last").revision

    with pytest.raises(BeyondEnd, match=f"the log ends at revision {end}, .* read from {end + 1} on") as told:
        next(client.log(start=end + 2, follow=follow))
    assert told.value.last == end


def test_a_log_longer_than_a_page_is_read_whole_also_without_asking_the_leader(client: Client) -> None:
    values = [b"%03d" % number + bytes(9000) for number in range(200)]  # 1.8 MB, in pages of 1 MiB
    futures = [client.propose_async(value) for value in values]
    start = futures[0].result(20).revision
    futures[-1].result(20)

    assert [entry.value for entry in client.log(start=start)] == values
    assert [entry.value for entry in client.log(start=start, linearizable=False)] == values


def test_many_threads_share_a_client_and_each_finds_its_values_once_and_in_order(client: Client) -> None:
    def propose(name: int) -> None:
        revisions[name] = [client.propose(b"%d-%d" % (name, number)).revision for number in range(25)]

    revisions: dict[int, list[int]] = {}
    start = client.propose(b"start").revision + 1
    threads = [threading.Thread(target=propose, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = {entry.revision: entry.value for entry in client.log(start=start)}

    assert sorted(revisions) == list(range(8))
    assert len(log) == 200
    for name, given in revisions.items():
        assert given == sorted(given)
        assert [log[revision] for revision in given] == [b"%d-%d" % (name, number) for number in range(25)]


def test_endpoints_may_be_given_without_a_scheme_and_then_any_cluster_is_right(cluster: DaemonCluster) -> None:
    with Client([url.removeprefix("tcp://") for url in cluster.gateways.values()]) as client:
        assert client.propose(b"hello").revision > 0
        assert client.status().cluster == "test"


class Text(bytes):
    """Bytes with something added, as users make them."""


@pytest.mark.parametrize(
    "given",
    [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"a.b.c.d")[::2], array.array("B", b"abcd"), Text(b"abcd")],
    ids=["bytearray", "memoryview", "not contiguous", "array", "a kind of bytes"],
)
def test_whatever_has_bytes_is_proposed_as_the_bytes_it_has_now(client: Client, given: bytearray) -> None:
    future = client.propose_async(given)
    if isinstance(given, bytearray | array.array):
        given[0] = 0  # too late
    (entry, *_) = client.log(start=future.result().revision)

    assert (entry.value, type(entry.value)) == (b"abcd", bytes)


def test_status_names_the_leader_and_every_node(client: Client) -> None:
    report = client.status()

    assert report.leader in REPLICAS
    assert {node.node: node.role for node in report.nodes} == REPLICAS
    assert [node.node for node in report.nodes if node.leading] == [report.leader]


# ---- too large -----------------------------------------------------------------------------------


def test_o05_a_value_over_the_limit_of_the_file_is_refused_before_anything_is_sent(cluster: DaemonCluster) -> None:
    link = Recorder()
    with (
        Client(["a:1"], link=link, command_bytes_max=10) as client,
        pytest.raises(TooLarge, match=r"not applied: .* 11 bytes.* takes 10 .*limits.command_bytes") as lost,
    ):
        client.propose_async(bytes(11))

    assert lost.value.outcome == "not_applied"
    assert link.sent == []
    with cluster.client() as client:
        assert client.propose(bytes(COMMAND_BYTES_MAX)).revision
        with pytest.raises(TooLarge):
            client.propose(bytes(COMMAND_BYTES_MAX + 1))


def test_o05_without_a_file_the_cluster_says_it_and_what_was_sent_beside_is_applied(cluster: DaemonCluster) -> None:
    with Client(list(cluster.gateways.values())) as client:
        futures = [client.propose_async(bytes(size)) for size in (1, COMMAND_BYTES_MAX + 1, 2, COMMAND_BYTES_MAX + 2)]
        errors = [future.exception() for future in futures]

    assert [type(error) for error in errors] == [type(None), TooLarge, type(None), TooLarge]
    assert f"{COMMAND_BYTES_MAX + 1} bytes, and the cluster takes {COMMAND_BYTES_MAX}" in str(errors[1])


# ---- what cannot work ----------------------------------------------------------------------------


def released() -> memoryview:
    view = memoryview(b"v")
    view.release()
    return view


BAD_CALLS: dict[str, tuple[Callable[[Client], object], type[Exception], str]] = {
    "a text": (lambda client: client.propose("text"), TypeError, "bytes, not str"),  # type: ignore[arg-type]
    "nothing": (lambda client: client.propose(None), TypeError, "bytes, not NoneType; make bytes of it"),  # type: ignore[arg-type]
    "a number": (lambda client: client.propose(7), TypeError, r"bytes, not int; .* str\(value\).encode"),  # type: ignore[arg-type]
    "a released view": (lambda client: client.propose(released()), ValueError, "released"),
    "no time": (lambda client: client.propose(b"", timeout=0), ValueError, "above 0"),
    "less than no time": (lambda client: client.propose_async(b"", timeout=-1), ValueError, "above 0"),
    "no number": (lambda client: client.propose(b"", timeout=float("nan")), ValueError, "above 0"),
    "for ever": (lambda client: client.propose(b"", timeout=float("inf")), ValueError, "at most"),
    "time as text": (lambda client: client.propose(b"", timeout="5"), TypeError, "number of seconds"),  # type: ignore[arg-type]
    "time as a flag": (lambda client: client.propose(b"", timeout=True), TypeError, "number of seconds"),
    "status in no time": (lambda client: client.status(timeout=-0.1), ValueError, "above 0"),
    "a log from 0": (lambda client: client.log(start=0), ValueError, "count from 1"),
    "a log from below": (lambda client: client.log(start=-3), ValueError, "count from 1"),
    "a log from far": (lambda client: client.log(start=1 << 63), ValueError, "count from 1"),
    "a log from half": (lambda client: client.log(start=1.5), TypeError, "whole number"),  # type: ignore[arg-type]
    "a log in no time": (lambda client: client.log(timeout=0), ValueError, "above 0"),
    "a wait of less than no time": (
        lambda client: client.propose_async(b"").result(timeout=-1),
        ValueError,
        "from 0 on",
    ),
}


@pytest.mark.parametrize("bad", BAD_CALLS)
def test_a_wrong_argument_is_refused_at_the_call(bad: str, dead: str) -> None:
    call, kind, words = BAD_CALLS[bad]
    with Client([dead]) as client, pytest.raises(kind, match=words):
        call(client)


@pytest.mark.parametrize(
    "endpoints",
    [[], "l1:7100", None, 7, [7], ["l1"], ["l1:0"], ["l1:99999"], ["http://l1:80"], ["tcp://l1"], ["l 1:7100"], [""]],
)
def test_endpoints_that_are_no_addresses_are_refused_with_an_example(endpoints: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"l1:7100"):
        Client(endpoints)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_client_with_an_impossible_timeout_is_not_made(timeout: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Client(["l1:7100"], timeout=timeout)


NODE = '{role: replica, address: "127.0.0.1:7000"}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("nodes: [", "line"),
        ("cluster: c\nnodes: {a1: {role: king}}\n", "king"),
        (f"cluster: c\nnodes: {{r1: {NODE}}}\n", "client address"),
        ("cluster: c\ntransport: queue\nnodes: {r1: {role: replica}}\n", r"Client\.local"),
    ],
)
def test_a_wrong_file_is_a_configuration_error_that_names_it(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "cluster.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError) as wrong:
        Client.from_config(file)

    assert str(file) in str(wrong.value)
    assert wrong.value.outcome == "not_applied"


@pytest.mark.parametrize("config", [None, 5, b"cluster.yaml"])
def test_what_is_neither_a_path_nor_a_config_is_a_type_error(config: Any) -> None:
    with pytest.raises(TypeError, match=r"the path of a membership file, such as 'config/cluster.yaml', not "):
        Client.from_config(config)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"replicas": -1}, ValueError, "replicas is a whole number from 0 on, not -1"),
        ({"acceptors": "3"}, TypeError, "acceptors is a whole number, such as 3, not '3'"),
        ({"learners": 2.5}, TypeError, "learners is a whole number, such as 3, not 2.5"),
        ({"proposers": True}, TypeError, "proposers is a whole number, such as 3, not True"),
        ({"data_dir": ""}, ValueError, "data_dir is the path of a directory, not ''"),
    ],
)
def test_a_wrong_argument_of_a_local_cluster_is_named_and_nothing_is_started(
    wrong: dict[str, Any], error: type[Exception], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(told)):
        Client.local(**wrong).close()

    assert list(tmp_path.iterdir()) == []


def test_a_local_cluster_that_cannot_decide_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        Client.local(acceptors=0)


# ---- nobody answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["silent", "dead"])
def test_l13_every_call_ends_at_its_timeout_when_nobody_answers(kind: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(kind)
    with Client([address], timeout=0.4) as client:
        proposing = within(0.4, lambda: client.propose(b"v"))
        asking = within(0.2, lambda: client.status(timeout=0.2))
        reading = within(0.3, lambda: next(client.log(timeout=0.3)))

    assert [type(proposing), type(asking), type(reading)] == [Unavailable, ReadTimeout, ReadTimeout]
    assert all(error.outcome == "not_applied" and address in str(error) for error in (proposing, asking, reading))


def test_a_wait_for_a_result_ends_at_its_own_timeout_and_the_command_goes_on(silent: str) -> None:
    with Client([silent], timeout=0.5) as client:
        future = client.propose_async(b"v")
        for timeout in (0, 0.1):
            with pytest.raises(TimeoutError, match="goes on") as early:
                future.result(timeout)
            assert not isinstance(early.value, PaxosError)
        assert not future.done()
        assert isinstance(future.exception(timeout=5), Unavailable)
        assert future.done()


@pytest.mark.parametrize("kind", ["silent", "dead"])
def test_l13_a_client_sleeps_while_nobody_answers(kind: str, request: pytest.FixtureRequest) -> None:
    with Client([request.getfixturevalue(kind)]) as client:
        before_s = time.process_time()
        within(1.5, lambda: client.propose(b"v", timeout=1.5))
        busy_s = time.process_time() - before_s

    assert busy_s < 0.3


def test_o02_a_client_that_is_full_says_so_in_time_and_when_it_is_closed(silent: str) -> None:
    ended: list[Exception] = []
    client = Client([silent], timeout=60)
    for _ in range(WINDOW_COMMANDS_MAX):
        client.propose_async(b"v")
    while not client._worker.session.is_full:
        pass
    full = within(0.2, lambda: client.propose_async(b"one more", timeout=0.2))

    def propose() -> None:
        try:
            client.propose(b"one more")
        except PaxosError as error:
            ended.append(error)

    thread = threading.Thread(target=propose)
    thread.start()
    client.close()
    thread.join(5)

    assert isinstance(full, Overloaded)
    assert "wait for some results" in str(full)
    assert [type(error) for error in ended] == [ClientClosed]


def test_n20_a_silent_gateway_is_paid_for_once(cluster: DaemonCluster, silent: str) -> None:
    with Client([silent, *cluster.gateways.values()]) as client:
        client.propose(b"which finds it silent")
        started = time.monotonic()
        for _ in range(20):
            client.propose(b"at once")
        took_s = time.monotonic() - started

    assert took_s < 5.0


# ---- no quorum -----------------------------------------------------------------------------------


def test_l06_without_a_quorum_the_outcome_is_told_in_time_and_true_and_service_goes_on_when_it_is_back(
    cluster: DaemonCluster,
) -> None:
    with cluster.client() as client:
        start = client.propose(b"before").revision + 1
        leader = cluster.leader()
        lost = [node for node in REPLICAS if node != leader]
        cluster.kill(*lost)
        unsure = within(3.0, lambda: client.propose(b"unsure", timeout=3.0))
        while client.status().leader:
            pass  # until the one that is left knows that it is alone
        refused = within(1.0, lambda: client.propose(b"refused", timeout=1.0))
        reading = within(1.0, lambda: next(client.log(timeout=1.0)))
        cheap = list(client.log(start=start - 1, linearizable=False))
        cluster.start(*lost)
        client.propose(b"after", timeout=20)
        log = [entry.value for entry in client.log(start=start)]

    assert isinstance(unsure, ProposeTimeout)
    assert (unsure.outcome, refused.outcome) == ("unknown", "not_applied")
    assert isinstance(refused, NoQuorum)
    assert isinstance(reading, NoQuorum)
    assert all("nobody leads" in str(error) and "paxosctl status" in str(error) for error in (unsure, refused, reading))
    assert cheap[0].value == b"before"
    assert log in ([b"after"], [b"unsure", b"after"])


def test_what_was_sent_to_nodes_that_stand_still_is_unknown_and_said_so(cluster: DaemonCluster) -> None:
    with cluster.client() as client:
        client.propose(b"one")
        cluster.pause(*REPLICAS)
        try:
            future = client.propose_async(b"two")
            late = within(0.5, lambda: client.propose(b"three", timeout=0.5))
            client.close()
            closed = future.exception()
        finally:
            cluster.resume(*REPLICAS)

    assert isinstance(late, ProposeTimeout)
    assert "no gateway answered" in str(late)
    assert isinstance(closed, ClientClosed)
    assert closed.outcome == "unknown"


# ---- another cluster -----------------------------------------------------------------------------

OURS, THEIRS = b"oursours", b"theirs!!"


class Recorder:
    """A link on which every gateway is played: it has the digest that `digests` says, and answers at once."""

    def __init__(self, digests: dict[str, bytes] | None = None) -> None:
        self.digests = digests or {}
        self.troubles: dict[str, str] = {}
        self.sent: list[str] = []
        self.waits: list[float | None] = []
        self._frames: list[bytes] = []
        self._revision = 0
        self._changed = threading.Event()

    def send(self, gateway: str, frame: bytes) -> None:
        self.sent.append(gateway)
        digest = self.digests.get(gateway, OURS)
        codec = Codec(digest, "l1", 1, 1 << 20)
        if digest != OURS:
            self._frames.append(codec.frames([])[0])
            return
        for message in codec.from_client(frame).messages:
            if isinstance(message, OpenSession):
                self._frames += codec.frames([codec.pack(SessionOpened(message.wish, message.wish, ""))])
            elif isinstance(message, Propose):
                self._revision += 1
                answer = Applied(message.session, message.first_seq, message.count, self._revision, self._revision, "")
                self._frames += codec.frames([codec.pack(answer)])

    def leave(self, gateway: str) -> None: ...

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        self.waits.append(timeout_s)
        if not self._frames:
            self._changed.wait(timeout_s)
        self._changed.clear()
        frames, self._frames = self._frames, []
        return frames

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None:
        self._changed.set()


def test_u07_a_gateway_of_another_cluster_is_passed_over() -> None:
    link = Recorder({"tcp://a:1": THEIRS})
    with Client(["a:1", "b:1"], link=link, digest=OURS) as client:
        revisions = [client.propose(b"v").revision for _ in range(3)]

    assert revisions == [1, 2, 3]
    assert link.sent.count("tcp://a:1") == 1


def test_u07_if_all_are_of_another_cluster_every_call_says_so_and_names_them() -> None:
    link = Recorder({"tcp://a:1": THEIRS, "tcp://b:1": THEIRS})
    with Client(["a:1", "b:1"], link=link, digest=OURS) as client:
        errors = []
        for _ in range(2):
            with pytest.raises(WrongCluster, match="not applied") as wrong:
                client.propose(b"v")
            errors.append(wrong.value)

    for error in errors:
        assert all(word in str(error) for word in ("tcp://a:1", "tcp://b:1", "digest", "compare the files"))


def test_u07_real_daemons_tell_a_client_with_another_file(cluster: DaemonCluster, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(cluster.config.read_text().replace("cluster: test", "cluster: other"))
    with Client.from_config(other) as client, pytest.raises(WrongCluster):
        client.propose(b"v")


# ---- names and addresses -------------------------------------------------------------------------


def test_a_name_that_is_not_found_is_what_the_error_says_and_not_that_nobody_answered(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("paxosd.transport.zeromq.names.socket.getaddrinfo", unknown)
    with Client(["gw1.invalid:7100", "gw2.invalid:7100"], timeout=3) as client:
        proposing = within(3, lambda: client.propose(b"v"))
        reading = within(1, lambda: client.status(timeout=1))
    with Client(["gw1.invalid:7100", dead], timeout=2) as client:
        mixed = within(2, lambda: client.propose(b"v"))

    assert (type(proposing), type(reading), type(mixed)) == (Unavailable, ReadTimeout, Unavailable)
    for error in (proposing, reading):
        assert "name not found: gw1.invalid" in str(error)
        assert "name not found: gw2.invalid" in str(error)
        assert "check the spelling" in str(error)
        assert "no gateway answered" not in str(error)
    assert "no gateway answered" in str(mixed)
    assert "tcp://gw1.invalid:7100 (name not found: gw1.invalid" in str(mixed)
    assert f"tcp://{dead} ({dead} refuses connections" in str(mixed)


def test_a_name_server_that_is_silent_is_what_the_error_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr("paxosd.transport.zeromq.names.socket.getaddrinfo", lambda *_, **__: answer.wait() and [])
    with Client(["gw1.example:7100"], timeout=0.2) as client:
        error = within(0.2, lambda: client.propose(b"v"))
    answer.set()

    assert "gw1.example is looked up, and the name server has not answered yet" in str(error)


# ---- the thread, and the end ---------------------------------------------------------------------


def test_l13_with_nothing_under_way_the_thread_waits_without_end() -> None:
    link = Recorder()
    with Client(["a:1"], link=link) as client:
        client.propose(b"v")
        deadline = time.monotonic() + 5
        while link.waits[-1] is not None and time.monotonic() < deadline:
            pass
        turns = len(link.waits)
        with pytest.raises(TooLarge):
            client.propose(bytes(1 << 21))  # which wakes nobody

        assert link.waits[-1] is None
        assert len(link.waits) == turns < 20


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.propose(b"v"),
        lambda client: client.propose_async(b"v"),
        lambda client: client.log(),
        lambda client: client.status(),
    ],
    ids=["propose", "propose_async", "log", "status"],
)
def test_a_closed_client_says_so_at_once(call: Callable[[Client], object], dead: str) -> None:
    client = Client([dead])
    client.close()
    client.close()
    with pytest.raises(ClientClosed, match="make a new one") as lost:
        call(client)

    assert lost.value.outcome == "not_applied"


def test_a_client_and_its_futures_cannot_be_pickled_or_copied_and_say_what_to_do(dead: str) -> None:
    with Client([dead]) as client:
        future = client.propose_async(b"v")
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=r"a client cannot be pickled or copied: .* make another client"):
                attempt(client)
            with pytest.raises(TypeError, match=r"a future cannot be pickled or copied: .* pass on"):
                attempt(future)


def test_threads_that_close_a_client_while_others_call_it_all_come_back(silent: str) -> None:
    ended: list[str] = []
    closed: list[str] = []
    client = Client([silent], timeout=60, on_close=lambda: closed.append("once"))

    def call() -> None:
        while True:
            try:
                client.propose(b"v")
            except ClientClosed as error:
                ended.append(error.outcome)
                return

    threads = [threading.Thread(target=call) for _ in range(8)]
    threads += [threading.Thread(target=client.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert ended == ["not_applied"] * 8
    assert closed == ["once"]


def test_an_error_that_is_raised_again_and_again_is_a_new_one_each_time(dead: str) -> None:
    with Client([dead]) as client:
        future = client.propose_async(b"v", timeout=0.1)
        errors = []
        for _ in range(3):
            with pytest.raises(Unavailable) as lost:
                future.result()
            errors.append(lost.value)

    assert len({id(error) for error in errors}) == 3
    assert len({str(error) for error in errors}) == 1


def test_what_was_never_sent_is_not_applied_when_the_client_is_closed(silent: str) -> None:
    with Client([silent], timeout=60) as client:
        futures = [client.propose_async(b"v") for _ in range(3)]
    errors = [future.exception() for future in futures]

    assert all(isinstance(error, ClientClosed) and error.outcome == "not_applied" for error in errors)


def test_a_call_that_waits_in_another_thread_ends_when_the_client_is_closed(silent: str) -> None:
    ended: list[Exception] = []
    client = Client([silent])

    def read() -> None:
        try:
            next(client.log(timeout=60))
        except PaxosError as error:
            ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    while not client._worker.session._questions:
        pass
    client.close()
    thread.join(5)

    assert [type(error) for error in ended] == [ClientClosed]


def test_l13_clients_that_are_closed_leave_no_thread_and_no_file_descriptor(dead: str) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    Client([dead]).close()
    threads, files = threading.active_count(), open_files()
    for _ in range(20):
        with Client([dead]) as client:
            client.propose_async(b"v")

    assert (threading.active_count(), open_files()) == (threads, files)


FORKED = """
import os, sys
from paxosd import Client, ClientClosed
client = Client(["127.0.0.1:9"], on_close=lambda: print("closed by", "parent" if os.getpid() == parent else "child"))
parent = os.getpid()
future = client.propose_async(b"v", timeout=60)
child = os.fork()
if not child:
    for call in (lambda: client.propose(b"v"), future.result, client.status):
        try:
            call()
        except ClientClosed as error:
            print(error.outcome, "forked" in str(error))
    client.close()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
client.close()
"""


def test_a_client_that_came_along_in_a_fork_says_so_instead_of_waiting_for_ever() -> None:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, timeout=30, check=True
    )

    assert told.stdout.splitlines() == ["not_applied True", "unknown True", "not_applied True", "closed by parent"]


def test_a_read_below_what_is_kept_of_the_log_is_told_from_where_on_it_is(tmp_path: Path) -> None:
    with DaemonCluster(tmp_path, REPLICAS, "log: {keep_entries: 50}") as short, short.client() as client:
        for number in range(300):
            client.propose(b"%d" % number, timeout=20)
        with pytest.raises(Compacted, match="the log is kept from revision") as told:
            list(client.log(start=1))
        first = told.value.first_available
        kept = [entry.revision for entry in client.log()]

    assert 50 <= 300 + 1 - first <= 50 + 64 + 1
    assert kept == list(range(first, 301))
