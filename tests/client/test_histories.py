"""A client and the histories of its cluster: which one it belongs to, and what it says when there is another one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

import pytest

from paxosd import Client, Withdrawn, WrongHistory
from paxosd.client.calls import Command, Question
from paxosd.client.outcomes import Receipt
from paxosd.client.reception import receive
from paxosd.client.seeking import SEEKS_S
from paxosd.client.session import Session
from paxosd.core.messages import (
    Applied,
    FromClient,
    GetStatus,
    LogPage,
    Message,
    OpenSession,
    Propose,
    ReadLog,
    Refused,
    SessionOpened,
    StatusReport,
)
from paxosd.core.reasons import Reason
from paxosd.core.types import NO_BALLOT, NO_HISTORY, Entry, HistoryId
from paxosd.core.values import commands
from paxosd.wire.frames import Codec
from tests.core.helpers import session_id

A, B, C = "tcp://a:1", "tcp://b:1", "tcp://c:1"
OURS, THEIRS = b"o" * 16, b"t" * 16
FAR = 1000.0
STATUS = StatusReport(1, "test", "l1", "", NO_BALLOT, 1, 1, 0, ())


def frame(history: HistoryId, *messages: Message) -> bytes:
    codec = Codec(b"", "l1", 1, 1 << 20)
    codec.belong_to(history)
    return codec.frames([codec.pack(message) for message in messages])[0]


class Bench:
    """A session, its codec and a clock."""

    def __init__(self, *gateways: str) -> None:
        self.session = Session(gateways or (A, B, C), Random(1))
        self.codec = Codec(b"", "client", 1, 1 << 20)
        self.now = 0.0

    def hear(self, history: HistoryId, *messages: Message) -> None:
        """The current gateway, which is of this history, says this."""
        receive(frame(history, *messages), self.session.gateway, self.codec, self.session, self.now)

    def propose(self, timeout_s: float = FAR) -> Command:
        command = Command(b"v", self.now + timeout_s)
        self.session.propose(command)
        return command

    def poll(self) -> list[FromClient]:
        return self.session.poll(self.now)

    def open(self) -> None:
        """A session in our history."""
        (opening,) = [message for message in self.poll() if isinstance(message, OpenSession)]
        self.hear(OURS, SessionOpened(opening.wish, session_id(7), ""))

    def end(self, error: WrongHistory) -> None:
        self.session.close(type(error), str(error))


def opened() -> Bench:
    """One that proposed a value in our history."""
    bench = Bench()
    bench.propose()
    bench.open()
    bench.poll()
    bench.hear(OURS, Applied(session_id(7), 1, 1, 1, 1, ""))
    return bench


# ---- which history it belongs to -----------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [SessionOpened(session_id(1), session_id(2), ""), Applied(session_id(1), 1, 1, 1, 1, ""), LogPage(1, (), 0, 0, "")],
    ids=lambda answer: type(answer).__name__,
)
def test_a_client_belongs_to_the_history_of_the_first_answer_out_of_a_log(answer: Message) -> None:
    bench = Bench()
    bench.hear(NO_HISTORY, answer)
    assert bench.codec.history == NO_HISTORY
    bench.hear(OURS, answer)

    assert bench.codec.history == OURS


@pytest.mark.parametrize(
    "answer",
    [Refused(session_id(1), 1, 0, 1, Reason.NO_LEADER, 0, ""), LogPage(1, (), 0, Reason.NO_LEADER, ""), STATUS],
    ids=lambda answer: type(answer).__name__,
)
def test_a_gateway_that_serves_nobody_binds_nobody_to_its_history(answer: Message) -> None:
    bench = Bench()
    bench.hear(THEIRS, answer)
    bench.hear(THEIRS)

    assert bench.codec.history == NO_HISTORY


def test_what_another_history_answers_never_reaches_a_call() -> None:
    bench = opened()
    command = bench.propose()
    question = Question(ReadLog(5, 1, False, 0, 0), FAR)
    bench.session.ask(question)
    bench.poll()
    bench.hear(THEIRS, Applied(session_id(7), 2, 1, 9, 9, ""), LogPage(5, (Entry(1, 1, b"x"),), 1, 0, ""))

    assert (command.done, question.done) == (False, False)


def test_a_gateway_that_knows_no_history_yet_is_heard_by_a_client_that_belongs_to_one() -> None:
    bench = opened()
    bench.propose()
    (sending,) = bench.poll()
    assert isinstance(sending, Propose)
    bench.hear(NO_HISTORY, Refused(sending.session, sending.attempt, 2, 1, Reason.NO_LEADER, 0, ""))

    assert bench.session.gateway == A
    assert bench.poll() == []  # it waits before it sends again


# ---- where there is another one ------------------------------------------------------------------


def test_i01_when_every_gateway_is_of_another_history_each_call_is_told_what_became_of_it() -> None:
    bench = opened()
    sent = bench.propose()
    bench.poll()
    unsent = bench.propose()
    read = Question(ReadLog(5, 1, False, 0, 0), FAR)
    bench.session.ask(read)
    bench.hear(THEIRS)
    bench.hear(THEIRS)
    with pytest.raises(WrongHistory) as wrong:
        bench.hear(THEIRS)
    bench.end(wrong.value)

    errors = [call.error for call in (sent, unsent, read)]
    assert [error.outcome for error in errors if error] == ["unknown", "not_applied", "not_applied"]
    for error in errors:
        assert isinstance(error, WrongHistory)
        told = str(error)
        assert all(word in told for word in (A, B, C, THEIRS.hex()[:8], OURS.hex()[:8], "make a new client", "log"))
    assert str(sent.error).startswith("unknown: ")
    assert str(unsent.error).startswith("not applied; ")


def test_a_gateway_of_another_history_is_left_while_one_of_ours_serves() -> None:
    bench = opened()
    command = bench.propose()
    bench.poll()
    bench.hear(THEIRS)
    assert bench.session.gateway == B
    (sending,) = bench.poll()
    assert isinstance(sending, Propose)
    bench.hear(OURS, Applied(session_id(7), sending.first_seq, 1, 2, 2, ""))
    for _ in range(20):  # and nothing comes of it later
        bench.now += 1.0
        bench.propose()
        (sending,) = bench.poll()
        assert isinstance(sending, Propose)
        bench.hear(OURS, Applied(session_id(7), sending.first_seq, 1, 2, 2, ""))

    assert command.receipt == Receipt(2, 2)
    assert bench.session.gateway == B


@pytest.mark.parametrize("answers", [True, False], ids=["serves nobody", "is silent"])
def test_a_client_whose_history_is_left_with_gateways_that_serve_nobody_is_told_within_a_second(answers: bool) -> None:
    bench = opened()
    bench.propose()
    bench.poll()
    began = bench.now
    bench.hear(THEIRS)
    with pytest.raises(WrongHistory):
        while bench.now < 10:
            for message in bench.poll():
                if answers and isinstance(message, Propose):
                    refused = message.session, message.attempt, message.first_seq, message.count
                    bench.hear(OURS, Refused(*refused, Reason.NO_LEADER, 0, ""))
            due = bench.session.next_deadline()
            assert due is not None
            assert due > bench.now
            bench.now = due

    assert bench.now == pytest.approx(began + SEEKS_S)


def test_no_call_outlives_its_timeout_while_its_history_is_sought() -> None:
    bench = opened()
    command = bench.propose(timeout_s=SEEKS_S / 2)
    bench.poll()
    bench.hear(THEIRS)
    bench.now += SEEKS_S / 2
    with pytest.raises(WrongHistory) as wrong:
        bench.poll()
    bench.end(wrong.value)

    assert isinstance(command.error, WrongHistory)
    assert command.error.outcome == "unknown"


def test_a_client_that_waits_for_nothing_when_it_hears_of_another_history_asks_all_gateways_at_its_next_call() -> None:
    bench = opened()
    bench.hear(THEIRS)
    bench.now += 100 * SEEKS_S
    assert bench.poll() == []
    command = bench.propose()
    (sending,) = bench.poll()
    assert isinstance(sending, Propose)
    bench.hear(OURS, Applied(session_id(7), sending.first_seq, 1, 2, 2, ""))

    assert command.receipt == Receipt(2, 2)


def test_a_command_that_was_withdrawn_by_others_is_not_applied() -> None:
    bench = opened()
    command = bench.propose()
    bench.poll()
    bench.hear(OURS, Applied(session_id(7), 2, 1, 0, 2, ""))

    assert command.receipt is None
    assert isinstance(command.error, Withdrawn)
    assert command.error.outcome == "not_applied"
    assert bench.session.poll(bench.now) == []


# ---- the whole client ----------------------------------------------------------------------------


class Cluster:
    """A link behind which one cluster serves at once at every gateway; it can be wiped."""

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}
        self.history: HistoryId = OURS
        self.log: list[bytes] = []
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None
        self._frames: list[bytes] = []
        self._changed = threading.Event()

    def wipe(self) -> None:
        self.history, self.log = THEIRS, [b"another"]

    def send(self, gateway: str, sent: bytes) -> None:
        codec = Codec(b"", "l1", 1, 1 << 20)
        theirs = codec.from_client(sent)
        if theirs.history not in (NO_HISTORY, self.history):
            self._frames.append(frame(self.history))
            return
        self._frames.append(
            frame(self.history, *(answer for message in theirs.messages for answer in self._take(message)))
        )

    def _take(self, message: Message) -> Sequence[Message]:
        match message:
            case OpenSession(wish):
                return [SessionOpened(wish, session_id(7 + len(self.log)), "")]
            case Propose(session, _, _, first_seq, count, body):
                first = len(self.log) + 1
                self.log += commands(body, count)
                return [Applied(session, first_seq, count, first, first, "")]
            case ReadLog(request, start):
                self.reads += 1
                self.on_read()
                page = tuple(Entry(at, at, value) for at, value in enumerate(self.log, 1) if at >= start)
                return [LogPage(request, page, len(self.log), 0, "")] if page or self.reads == 1 else []
            case GetStatus(request):
                return [StatusReport(request, "test", "l1", "p1", NO_BALLOT, 1, 1, 0, ())]
        raise AssertionError(message)

    def leave(self, gateway: str) -> None: ...

    def receive(self, timeout_s: float | None) -> Sequence[bytes]:
        if not self._frames:
            self._changed.wait(timeout_s)
        self._changed.clear()
        frames, self._frames = self._frames, []
        return frames

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None:
        self._changed.set()


def test_i01_a_client_that_outlives_a_wiped_cluster_gets_no_receipt_and_no_results_of_somebody_else() -> None:
    cluster = Cluster()
    with Client(["a:1", "b:1", "c:1"], link=cluster, timeout=20) as client:
        assert client.propose(b"one").revision == 1
        cluster.wipe()
        errors = []
        for call in (
            lambda: client.propose(b"two"),
            lambda: list(client.log()),
            client.status,
            lambda: client.propose(b""),
        ):
            with pytest.raises(WrongHistory) as wrong:
                call()
            errors.append(wrong.value)
    with Client(["a:1", "b:1", "c:1"], link=cluster, timeout=20) as new:
        assert new.propose(b"three").revision == 2

    assert [error.outcome for error in errors] == ["unknown", "not_applied", "not_applied", "not_applied"]
    assert cluster.log == [b"another", b"three"]


def test_i01_a_follower_of_the_log_is_told_that_the_history_is_over() -> None:
    cluster = Cluster()
    with Client(["a:1", "b:1", "c:1"], link=cluster, timeout=20) as client:
        client.propose(b"one")
        followed = client.log(follow=True)
        first = next(followed)
        cluster.wipe()
        with pytest.raises(WrongHistory, match=r"not answered.*another history"):
            next(followed)

    assert first.value == b"one"


def test_a_follower_that_only_ever_read_one_gateways_log_is_told_too() -> None:
    cluster = Cluster()
    cluster.log = [b"one"]
    with Client(["a:1"], link=cluster, timeout=20) as client:
        followed = client.log(follow=True, linearizable=False)
        next(followed)
        cluster.wipe()
        with pytest.raises(WrongHistory):
            next(followed)
