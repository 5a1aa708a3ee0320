"""The driver keeps the order of effects and lets nothing from outside end it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgpack
import pytest

from paxosd.conduct import PEER_WORK_PER_TURN_MAX
from paxosd.core.agent import Agent, Event, Timer
from paxosd.core.continuing import Continues
from paxosd.core.messages import (
    Accepted,
    Chosen,
    Fetch,
    GetStatus,
    Heartbeat,
    Message,
    OpenSession,
    Outlived,
    Ping,
    SessionOpened,
    Watermark,
)
from paxosd.core.newcomers import WITHOUT_HISTORY
from paxosd.core.records import Kept, Record, Round
from paxosd.core.types import (
    NO_HISTORY,
    Ballot,
    HistoryId,
    NodeId,
    Outcome,
    Revision,
    RevisionRow,
    Slot,
    Source,
    Vote,
)
from paxosd.driver import Driver
from paxosd.lives import CHANCE_BITS, OwnLife
from paxosd.storage.base import StorageError
from paxosd.transport.base import Connection, Inbound
from paxosd.wire.frames import PEER_MESSAGES_MAX, Codec, Envelope
from tests.core.helpers import session_id

DIGEST = b"12345678"
BALLOT = Ballot(1, "p1")


class Journal(list[tuple[object, ...]]):
    """What happened outside the agent, in order."""


class Script(Agent):
    """An agent that asks for what the test says, once per turn, and remembers what it was given."""

    inbound = (Ping, Fetch)

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.given: list[tuple[Source, Message]] = []
        self.belongs_to: HistoryId = NO_HISTORY
        self.finds = ""

    @property
    def history(self) -> HistoryId:
        return self.belongs_to

    def meet_history(self, source: NodeId, history: HistoryId, now: float) -> None:
        """Take it up, and make a record of that; a frame that names none changes nothing."""
        if history == NO_HISTORY:
            return
        self.given.append((source, history))  # type: ignore[arg-type]
        self.belongs_to = history
        self.record(Round(99))

    def restore(self, records: Iterable[Record], now: float) -> None:
        self.given += [("disk", record) for record in records]  # type: ignore[misc]

    def resume(self, revision: Revision) -> None:
        self.given.append(("resumed at", revision))  # type: ignore[arg-type]

    def receive(self, source: Source, message: Message, now: float) -> None:
        self.given.append((source, message))

    def hand_on(self, slot: Slot, value: bytes) -> None:
        self._output.chosen.append((slot, value))

    def applied(self, slot: Slot, outcomes: list[Outcome], now: float) -> None:
        self.send(b"client", SessionOpened(session_id(7), session_id(slot), ""))
        if self.finds:
            self.report(self.finds)


class Wire:
    """A transport that records what is sent and delivers what the test puts in."""

    def __init__(self, journal: Journal) -> None:
        self.dropped: Counter[str] = Counter()
        self.inbound: list[Inbound] = []
        self.vouched: set[Connection] = set()
        self._journal = journal

    def send(self, target: str, frame: bytes) -> None:
        self._journal.append(("sent", target, frame))

    def reply(self, client: bytes, frame: bytes) -> None:
        self._journal.append(("replied", client, frame))

    def wait(self, timeout_s: float | None) -> None:
        self._journal.append(("waited", timeout_s))

    def drain(self, frames_max: int) -> Iterator[Inbound]:
        for _ in range(frames_max):
            if not self.inbound:
                return
            yield self.inbound.pop(0)

    def vouch(self, connection: Connection) -> None:
        self.vouched.add(connection)

    def hang_up(self, connection: Connection) -> None:
        self._journal.append(("hung up", connection))

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Disk:
    """A store that only records commits, and can fail."""

    commits = 0

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.fails = False
        self.commits = 0

    def commit(self, records: Sequence[Record]) -> None:
        if self.fails:
            raise StorageError("disk failed")
        self._journal.append(("committed", *records))

    def records(self) -> Sequence[Record]:
        return [Round(3)]

    def learned_stop(self) -> Slot:
        return 1

    def votes(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[Vote]:
        return []

    def learned(self, first: Slot, stop: Slot, bytes_max: int) -> Sequence[tuple[Slot, bytes]]:
        return []

    def learned_start(self) -> Slot:
        return 1

    def offered(self) -> None: ...

    def offer(self) -> None: ...

    def part(self, offset: int, bytes_max: int) -> bytes:
        return b""

    def withdraw(self) -> None: ...

    def incoming(self) -> None: ...

    def kept_slot(self) -> Slot:
        return 1

    def kept_rows(self, owner: str) -> Iterable[tuple[bytes, bytes]]:
        return []

    def revisions(self, revision: Revision, rows_max: int) -> Sequence[RevisionRow]:
        return []

    def close(self) -> None: ...


class Applying:
    """An applier that records what it applied; each slot changes `rows_per_slot` rows."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.unkept_slots = self.unkept_rows = 0
        self.rows_per_slot = 1

    def restore(self) -> Revision:
        self._journal.append(("what was kept is restored",))
        return 5

    def apply(self, slot: Slot, value: bytes) -> list[Outcome]:
        self._journal.append(("applied", slot, value))
        self.unkept_slots += 1
        self.unkept_rows += self.rows_per_slot
        return []

    def keep(self) -> Kept:
        kept = Kept(self.unkept_slots + 1, ())
        self.unkept_slots = self.unkept_rows = 0
        return kept


class Bench:
    """A driver of node n1 with everything around it faked; a2 and a3 are its peers."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.agent = Script("n1")
        self.wire = Wire(self.journal)
        self.disk = Disk(self.journal)
        self.applying = Applying(self.journal)
        self.events: list[Event] = []
        self.now = 100.0
        self.codec = Codec(DIGEST, "n1", 11, 1_000_000)
        self.driver = Driver(
            self.agent,
            self.codec,
            self.disk,
            self.wire,
            lambda: self.now,
            ["n1", "a2", "a3"],
            self.applying,
            self.events.append,
            life=OwnLife(0, 11),
        )

    def frame(
        self,
        *messages: Message,
        sender: str = "a2",
        incarnation: int = 5,
        digest: bytes = DIGEST,
        history: HistoryId = b"",
    ) -> bytes:
        codec = Codec(digest, sender, incarnation, 1_000_000)
        codec.belong_to(history)
        return codec.frames([codec.pack(message) for message in messages])[0]

    def arrive(self, *messages: Message, **envelope: object) -> None:
        self.wire.inbound.append(Inbound(None, self.frame(*messages, **envelope)))  # type: ignore[arg-type]

    def steps(self) -> list[object]:
        return [step[0] for step in self.journal]


def test_a_turn_sends_early_then_commits_then_sends_the_rest_then_applies_then_replies() -> None:
    bench = Bench()
    bench.agent.send("a2", Accepted(BALLOT, 1))
    bench.agent.record(Round(4))
    bench.agent.send_early("a2", Fetch(1))
    bench.agent.hand_on(1, b"v")

    bench.driver.turn()

    early, late, reply = (step for step in bench.journal if step[0] in ("sent", "replied"))
    assert bench.steps() == ["sent", "committed", "sent", "applied", "replied"]
    assert bench.codec.from_peer(bytes(early[2])).messages == [Fetch(1)]  # type: ignore[call-overload]
    assert bench.codec.from_peer(bytes(late[2])).messages == [Accepted(BALLOT, 1)]  # type: ignore[call-overload]
    answer = bench.codec.from_gateway(bytes(reply[2]))  # type: ignore[call-overload]
    assert answer.messages == [SessionOpened(session_id(7), session_id(1), "")]


def test_d22_what_is_found_out_while_values_are_applied_is_told_in_the_same_turn() -> None:
    bench = Bench()
    bench.agent.finds = "state.differs"
    bench.agent.hand_on(1, b"v")

    bench.driver.turn()

    assert [event.name for event in bench.events] == ["state.differs"]


def test_d01_a_failed_commit_ends_the_turn_before_anything_that_claims_it_is_sent() -> None:
    bench = Bench()
    bench.disk.fails = True
    bench.agent.record(Round(4))
    bench.agent.send("a2", Accepted(BALLOT, 1))

    with pytest.raises(StorageError):
        bench.driver.turn()

    assert bench.steps() == []


def test_messages_to_one_peer_share_a_frame() -> None:
    bench = Bench()
    for slot in (1, 2, 3):
        bench.agent.send("a2", Accepted(BALLOT, slot))

    bench.driver.turn()

    assert bench.steps() == ["sent"]


def test_a_message_that_fits_no_frame_is_not_sent_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.agent.send("a2", Chosen(1, bytes(1_000_000)))
    bench.agent.send("a2", Fetch(1))
    bench.driver.turn()

    assert bench.steps() == ["sent"]
    assert bench.driver.dropped == {"own frame too large": 1}
    assert "limits.frame_bytes is 1000000" in caplog.text


def test_a_message_to_oneself_comes_back_in_the_next_turn_and_never_touches_the_wire() -> None:
    bench = Bench()
    bench.agent.send("n1", Fetch(9))
    bench.driver.turn()
    before = list(bench.agent.given)
    bench.driver.wait()
    bench.driver.turn()

    assert (before, bench.agent.given) == ([], [("n1", Fetch(9))])
    assert bench.journal == [("waited", 0.0)]  # the transport takes in what only `wait` does; nothing is sent


def test_what_was_kept_is_restored_before_the_agent_takes_up_its_records() -> None:
    bench = Bench()
    bench.driver.recover()

    assert bench.steps() == ["what was kept is restored"]


def test_what_was_applied_is_kept_half_a_second_later_and_the_wait_ends_for_it() -> None:
    bench = Bench()
    bench.agent.hand_on(1, b"v")
    bench.driver.turn()
    assert ("committed", Kept(2, ())) not in bench.journal
    bench.now += 0.4
    bench.driver.wait()
    bench.now += 0.1
    bench.driver.turn()

    (waited,) = (step[1] for step in bench.journal if step[0] == "waited")
    assert waited == pytest.approx(0.1)
    assert bench.journal[-1] == ("committed", Kept(2, ()))


def test_much_that_is_applied_in_one_turn_is_kept_in_pieces() -> None:
    bench = Bench()
    bench.applying.rows_per_slot = 600
    for slot in range(1, 6):
        bench.agent.hand_on(slot, b"v")
    bench.driver.turn()

    kept = [step for step in bench.steps() if step in ("applied", "committed")]
    assert kept == ["applied", "applied", "committed", "applied", "applied", "committed", "applied"]


def test_recovery_gives_the_agent_its_records() -> None:
    bench = Bench()
    bench.driver.recover()

    given: list[object] = list(bench.agent.given)
    assert given == [("resumed at", 5), ("disk", Round(3))]


def test_frames_of_members_reach_the_agent_and_others_are_counted() -> None:
    bench = Bench()
    bench.arrive(Fetch(1))
    bench.arrive(Fetch(2), sender="stranger")
    bench.arrive(Fetch(3), sender="n1", incarnation=99)
    bench.wire.inbound.append(Inbound(None, b"garbage"))
    bench.driver.turn()

    assert bench.agent.given == [("a2", Fetch(1))]
    assert bench.driver.dropped["unknown sender"] == 1
    assert bench.driver.dropped["own id"] == 1
    assert sum(bench.driver.dropped.values()) == 3


def test_d13_once_a_later_life_of_a_peer_was_heard_the_earlier_one_is_not() -> None:
    bench = Bench()
    bench.arrive(Fetch(1), incarnation=5)
    bench.arrive(Fetch(2), incarnation=6)
    bench.arrive(Fetch(3), incarnation=5)
    bench.arrive(Fetch(4), incarnation=6)
    bench.driver.turn()

    assert [message for _, message in bench.agent.given] == [Fetch(1), Fetch(2), Fetch(4)]
    assert bench.driver.dropped["old incarnation"] == 1


def test_d13_the_life_that_is_not_heard_is_told_what_is_known() -> None:
    bench = Bench()
    bench.arrive(Fetch(1), incarnation=6)
    bench.arrive(Fetch(2), incarnation=5)
    bench.arrive(Fetch(3), incarnation=5)
    bench.driver.turn()

    (sent,) = (step for step in bench.journal if step[0] == "sent")
    assert bench.codec.from_peer(bytes(sent[2])).messages == [Outlived(6)]  # type: ignore[call-overload]


def test_a_wiped_node_that_is_told_so_speaks_above_the_life_that_its_peers_remember() -> None:
    bench = Bench()
    bench.arrive(Outlived(400 << CHANCE_BITS))
    bench.agent.send("a2", Fetch(9))
    bench.driver.turn()

    (sent,) = (step for step in bench.journal if step[0] == "sent")
    assert bench.codec.from_peer(bytes(sent[2])).incarnation > 400 << CHANCE_BITS  # type: ignore[call-overload]
    assert bench.agent.given == []  # it is not for the roles


def test_n18_a_late_frame_of_a_life_that_was_never_heard_does_not_silence_the_living_one() -> None:
    bench = Bench()
    bench.arrive(Fetch(1), incarnation=6)
    bench.arrive(Fetch(2), incarnation=5)
    bench.arrive(Fetch(3), incarnation=6)
    bench.driver.turn()

    assert [message for _, message in bench.agent.given] == [Fetch(1), Fetch(3)]


def test_m21_a_frame_of_another_cluster_is_dropped_and_a_client_is_told_whom_it_reached() -> None:
    bench = Bench()
    bench.arrive(Fetch(1), digest=b"othrothr")
    bench.wire.inbound.append(
        Inbound(b"client", bench.frame(OpenSession(session_id(1), 1), sender="c", digest=b"othrothr"))
    )
    bench.driver.turn()

    assert bench.agent.given == []
    assert bench.steps() == ["replied"]


# ---- histories -----------------------------------------------------------------------------------

OURS, THEIRS = b"h" * 16, b"o" * 16


def test_a_node_that_knows_no_history_is_told_of_one_before_the_messages_and_speaks_of_it_after_the_commit() -> None:
    bench = Bench()
    bench.agent.send_early("a2", Fetch(7))
    bench.agent.send("a2", Fetch(8))
    bench.arrive(Fetch(1), history=OURS)
    bench.driver.turn()
    early, late = (step for step in bench.journal if step[0] == "sent")

    assert bench.agent.given == [("a2", OURS), ("a2", Fetch(1))]
    assert bench.steps() == ["sent", "committed", "sent"]
    assert [bench.codec.from_peer(bytes(sent[2])).history for sent in (early, late)] == [b"", OURS]  # type: ignore[call-overload]


def test_i01_a_history_that_was_taken_up_in_this_turn_keeps_out_others_at_once() -> None:
    bench = Bench()
    bench.arrive(Fetch(1), history=OURS)
    bench.arrive(Fetch(2), history=THEIRS, sender="a3")
    bench.arrive(Fetch(3), sender="a3")
    bench.wire.inbound.append(Inbound(b"client", bench.frame(GetStatus(1), sender="c", history=THEIRS)))
    bench.driver.turn()

    assert bench.agent.given == [("a2", OURS), ("a2", Fetch(1)), ("a3", Fetch(3))]
    assert bench.driver.dropped["another history"] == 2


def test_a_restored_node_that_knows_no_history_yet_hears_nobody_of_the_one_that_is_over() -> None:
    bench = Bench()
    bench.agent.known.continues = Continues(THEIRS, 5)
    bench.arrive(Fetch(1), history=THEIRS)
    bench.arrive(Fetch(2), history=OURS, sender="a3")
    bench.wire.inbound.append(Inbound(b"client", bench.frame(GetStatus(1), sender="c", history=THEIRS)))
    bench.driver.turn()

    assert Fetch(1) not in [message for _, message in bench.agent.given]
    assert ("a3", Fetch(2)) in bench.agent.given
    assert bench.driver.dropped["another history"] == 2


def test_who_has_a_history_hears_only_what_a_newcomer_may_say_from_who_speaks_without_one() -> None:
    bench = Bench()
    bench.codec.belong_to(OURS)
    bench.agent.belongs_to = OURS
    told = Heartbeat(BALLOT, 1, 9, 0), Chosen(8, b"birth of another"), Watermark(BALLOT, 9)
    bench.arrive(*told, Fetch(1))
    bench.arrive(Chosen(8, b"ours"), history=OURS)
    bench.driver.turn()

    assert bench.agent.given == [("a2", Fetch(1)), ("a2", Chosen(8, b"ours"))]
    assert bench.driver.dropped == {WITHOUT_HISTORY: 3}


def test_who_has_no_history_either_hears_all_that_one_without_a_history_says() -> None:
    bench = Bench()
    bench.arrive(Chosen(1, b"birth"), Watermark(BALLOT, 2))
    bench.driver.turn()

    assert bench.agent.given == [("a2", Chosen(1, b"birth")), ("a2", Watermark(BALLOT, 2))]


def test_i01_a_frame_of_another_history_is_dropped_and_a_client_is_told_whom_it_reached() -> None:
    bench = Bench()
    bench.codec.belong_to(OURS)
    bench.agent.belongs_to = OURS
    bench.arrive(Fetch(1), history=THEIRS)
    bench.wire.inbound.append(Inbound(b"client", bench.frame(GetStatus(1), sender="c", history=THEIRS)))
    bench.driver.turn()
    (reply,) = bench.journal

    assert bench.agent.given == []
    assert reply[:2] == ("replied", b"client")
    assert bench.codec.from_gateway(bytes(reply[2])) == Envelope("n1", 11, [], 0, OURS)  # type: ignore[call-overload]


def test_a_history_that_only_a_client_names_is_nobodys() -> None:
    bench = Bench()
    bench.wire.inbound.append(Inbound(b"client", bench.frame(GetStatus(1), sender="c", history=THEIRS)))
    bench.driver.turn()

    assert bench.agent.given == [(b"client", GetStatus(1))]
    assert bench.agent.history == NO_HISTORY


def test_a_node_that_starts_speaks_of_the_history_that_its_records_belong_to() -> None:
    bench = Bench()
    bench.agent.belongs_to = OURS
    bench.driver.recover()

    assert bench.codec.history == OURS


def test_u05_a_peer_and_a_client_of_version_0_2_0_are_told_which_version_this_is() -> None:
    old_peer = msgpack.packb([1, DIGEST, "a2", 1, [[13, 1]]])
    old_client = msgpack.packb([1, DIGEST, "c", 1, [[71, 1]]])
    bench = Bench()
    for _ in range(3):
        bench.wire.inbound += [Inbound(None, old_peer), Inbound(b"client", old_client)]
        bench.driver.turn()
    told = [(step[1], msgpack.unpackb(step[2])) for step in bench.journal]

    assert bench.agent.given == []
    assert told == [("a2", refusal := [2, DIGEST, "n1", 11, []]), *[(b"client", refusal)] * 3]
    assert bench.driver.dropped["other wire version"] == 6


def test_m16_a_peer_message_on_the_client_plane_is_refused() -> None:
    bench = Bench()
    bench.wire.inbound.append(Inbound(b"client", bench.frame(Chosen(1, b"x"))))
    bench.driver.turn()

    assert bench.agent.given == []
    assert sum(bench.driver.dropped.values()) + sum(bench.agent.ignored.values()) == 1


@pytest.mark.parametrize(
    "message",
    [
        [66, session_id(1), -1, 1, 1, 1, b""],
        [66, 7, 1, 1, 1, 1, b""],
        [66, session_id(1), 1, 1, 1, 2**63, b""],
        [66, session_id(1), 1, 1, 1, 1, "text"],
        [66, session_id(1), 1, 1, 1, 1.0, b""],
        [66, None, 1, 1, 1, 1, b""],
        [66, True, 1, 1, 1, 1, b""],
        [66, session_id(1)],
        [66],
        [64, session_id(1), -5],
        [69, 1, 1, 1, 1, 1],
        [71, [1]],
        [6, [1, "a2"], 1, b"v"],
        ["Propose", 1],
        [[]],
        [],
    ],
    ids=repr,
)
def test_m16_what_no_client_can_mean_is_dropped_and_counted_and_the_next_one_is_served(message: list[object]) -> None:
    bench = Bench()
    packed = msgpack.packb([2, DIGEST, b"", "client", 1, [message]])
    bench.wire.inbound += [Inbound(b"client", packed), Inbound(b"client", bench.frame(GetStatus(5), sender="c"))]
    bench.driver.turn()

    assert bench.agent.given == [(b"client", GetStatus(5))]
    assert bench.driver.dropped == {"malformed message": 1}
    assert bench.journal == []


def test_a_message_of_an_unknown_kind_is_counted_and_the_rest_of_the_frame_is_served() -> None:
    bench = Bench()
    packed = msgpack.packb([2, DIGEST, b"", "client", 1, [[99, "from the future"], [71, 5]]])
    bench.wire.inbound.append(Inbound(b"client", packed))
    bench.driver.turn()

    assert bench.agent.given == [(b"client", GetStatus(5))]
    assert bench.driver.dropped == {"unknown message": 1}


def test_waiting_ends_at_the_next_deadline_and_lasts_a_second_at_most() -> None:
    bench = Bench()
    bench.driver.wait()
    bench.agent.arm(Timer.PING, bench.now + 0.25)
    bench.driver.wait()
    bench.now += 1.0
    bench.driver.wait()

    assert bench.journal == [("waited", 1.0), ("waited", 0.25), ("waited", 0.0)]


# ---- shares, and who is cut off ------------------------------------------------------------------


def ask(bench: Bench, client: bytes, first: int, count: int) -> Inbound:
    """A frame of a client with so many questions."""
    frame = bench.frame(*(GetStatus(first + number) for number in range(count)), sender="c")
    return Inbound(client, frame, client)


def served(bench: Bench) -> list[Source]:
    """Who was served since the last time, a name for each message."""
    sources = [source for source, _ in bench.agent.given]
    bench.agent.given.clear()
    return sources


def test_a_flood_of_one_client_leaves_others_their_turn_and_nothing_of_it_is_lost() -> None:
    bench = Bench()
    for number in range(20):
        bench.wire.inbound += [ask(bench, b"flood", 64 * number, 64), ask(bench, b"calm", number, 1)]
    turns: list[list[Source]] = []
    while bench.wire.inbound or bench.driver._held_over:
        bench.driver.wait()
        bench.driver.turn()
        turns.append(served(bench))

    assert [turn.count(b"flood") for turn in turns] == [128] * 10
    assert [turn.count(b"calm") for turn in turns] == [2] * 10
    assert [step[1] for step in bench.journal] == [1.0] + [0.0] * 9  # no turn that follows a held over frame waits


def test_peers_are_heard_before_the_frame_that_was_held_over() -> None:
    bench = Bench()
    bench.wire.inbound += [ask(bench, b"flood", number, 64) for number in range(3)]
    bench.driver.turn()
    bench.agent.given.clear()
    bench.arrive(Fetch(1))
    bench.driver.turn()

    assert served(bench) == ["a2", *[b"flood"] * 64]


def test_a_flood_of_one_peer_costs_a_turn_its_share_and_what_others_say_is_heard() -> None:
    bench = Bench()
    for number in range(40):
        bench.wire.inbound.append(Inbound(None, bench.frame(*[Ping(number)] * PEER_MESSAGES_MAX), "flood"))
        bench.wire.inbound.append(Inbound(None, bench.frame(Fetch(number), sender="a3"), "calm"))
    bench.driver.turn()

    assert Counter(served(bench)) == {"a2": PEER_WORK_PER_TURN_MAX, "a3": 40}
    assert bench.driver.dropped["more than a share"] == 40 - PEER_WORK_PER_TURN_MAX // PEER_MESSAGES_MAX
    bench.wire.inbound.append(Inbound(None, bench.frame(Ping(1)), "flood"))
    bench.driver.turn()
    assert served(bench) == ["a2"]


def test_peers_without_connections_have_no_share_that_they_could_use_up() -> None:
    bench = Bench()
    for slot in range(100):
        bench.arrive(*[Fetch(slot)] * 100)
    bench.driver.turn()

    assert len(bench.agent.given) == 10_000


def test_many_messages_to_one_peer_leave_in_frames_that_it_takes() -> None:
    bench = Bench()
    for slot in range(PEER_MESSAGES_MAX + 1):
        bench.agent.send_early("a2", Fetch(slot))
    bench.driver.turn()

    sent: list[Any] = [step[2] for step in bench.journal if step[0] == "sent"]
    assert [len(bench.codec.from_peer(frame).messages) for frame in sent] == [PEER_MESSAGES_MAX, 1]


@pytest.mark.parametrize("client", [None, b"client"])
def test_m08_who_goes_on_with_what_is_no_frame_is_cut_off_and_that_is_logged_once(
    client: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    for _ in range(60):
        bench.wire.inbound.append(Inbound(client, b"\x1b[2J" * 1000, b"there"))
        bench.driver.turn()

    assert bench.steps().count("hung up") == bench.driver.dropped["cut off"] == 2
    assert len([record for record in caplog.records if "cut off" in record.message]) == 1
    assert all(len(record.message) < 250 and record.message.isprintable() for record in caplog.records)


def test_m08_a_mistake_now_and_then_is_forgiven() -> None:
    bench = Bench()
    for _ in range(100):
        bench.wire.inbound.append(Inbound(b"client", b"garbage", b"client"))
        bench.driver.turn()
        bench.now += 1.0

    assert bench.steps() == []


def test_m21_a_client_of_another_cluster_is_told_a_bounded_number_of_times_and_then_cut_off() -> None:
    bench = Bench()
    for _ in range(21):
        frame = bench.frame(OpenSession(session_id(1), 1), sender="c", digest=b"othrothr")
        bench.wire.inbound.append(Inbound(b"client", frame, b"client"))
        bench.driver.turn()

    assert bench.steps() == ["replied"] * 21 + ["hung up"]


def test_only_who_sent_something_valid_is_vouched_for() -> None:
    bench = Bench()
    bench.wire.inbound += [
        Inbound(None, bench.frame(Fetch(1)), "member"),
        Inbound(None, bench.frame(Fetch(1), sender="stranger"), "stranger"),
        Inbound(None, b"garbage", "garbage"),
        Inbound(b"c", bench.frame(GetStatus(1), sender="c"), "client"),
    ]
    bench.driver.turn()

    assert bench.wire.vouched == {"member", "client"}


@pytest.mark.parametrize(
    "item", [b"\x91" * 1000 + b"\x90", msgpack.packb("\x1b[2J" * 4000), msgpack.packb(b"x" * 60_000)]
)
@pytest.mark.parametrize("place", range(5))
def test_m08_whatever_stands_in_a_frame_the_complaint_about_it_is_short_and_nothing_ends(
    place: int, item: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    envelope: list[Any] = [2, DIGEST, b"", "a2", 1, []]
    items = [msgpack.packb(value) for value in envelope]
    items[place] = item
    for client in (None, b"client"):
        bench.wire.inbound.append(Inbound(client, b"\x95" + b"".join(items), b"there"))
    bench.driver.turn()

    assert bench.agent.given == []
    assert bench.driver.dropped.total() == 2
    assert all(len(record.message) < 250 and record.message.isprintable() for record in caplog.records)
