"""Scenarios R*: recipes where nothing else happens that would hide what one of them forgot."""

from __future__ import annotations

from paxosd.client.driving import ChangeCall
from paxosd.core.messages import Propose
from paxosd.core.values import commands
from paxosd.machine.kv.encoding import decode_command
from paxosd.machine.kv.requests import Delete, Put, Txn
from paxosd.recipes.names import span
from paxosd.sim.keys.hand import Hand
from paxosd.sim.keys.meetings import ROOM, DoubleBarrierUse, LeaderUse
from paxosd.sim.keys.reentrant import OneTurn, ReentrantUse, SharedLock
from paxosd.sim.keys.stock import QueueUse
from paxosd.sim.scenarios.callers import SHORT_TTL_S, WINDOW, Callers
from paxosd.sim.scenarios.props import Caught, Report
from paxosd.sim.scenarios.script import expect

LOCK = "job"
WAIT_T_E = 3.0
"""For how long one looks that nobody gets in who may not."""


# ---- a lock that its holder may take again -------------------------------------------------------


def reentered(seed: int, layout: str) -> Report:
    """A lock is taken three times by one caller: another one of the same client, and one of another client, have it
    once it was given back as often, in the order in which they came."""
    callers = Callers(seed, layout)
    here, there, _ = callers.clients
    lock, theirs = SharedLock(LOCK), SharedLock(LOCK)
    one, beside = (ReentrantUse(callers.hand(here), lock, name) for name in ("one", "beside"))
    far = ReentrantUse(callers.hand(there), theirs, "far")
    _enter(callers, one)
    one.enter()
    one.enter()
    beside.enter()
    callers.run(WAIT_T_E)
    far.enter()
    for left in (2, 1):
        callers.run(WAIT_T_E)
        one.leave()
        expect((one.times, beside.times, far.times) == (left, 0, 0), "somebody is inside who waits")
    callers.run(WAIT_T_E)
    expect((beside.times, far.times) == (0, 0), "somebody is inside beside who has it")
    one.leave()
    callers.until(lambda: beside.times == 1, "who came second has it")
    beside.enter()
    beside.leave()
    callers.run(WAIT_T_E)
    expect(far.times == 0, "who came third has it too early")
    beside.leave()
    callers.until(lambda: far.times == 1, "who came third has it")
    _enter(callers, one, waits=True)
    far.leave()
    callers.until(lambda: one.times == 1, "the first one has it again")
    one.leave()
    return callers.finish()


def lost_inside(seed: int, layout: str) -> Report:
    """A holder that is inside twice is cut off: it hears that it has lost the lock, gives back its own alone, and does
    not come in again before it went out."""
    callers = Callers(seed, layout, SHORT_TTL_S)
    here, there, _ = callers.clients
    lock, theirs = SharedLock(LOCK), SharedLock(LOCK)
    one, far = ReentrantUse(callers.hand(here), lock, "one"), ReentrantUse(callers.hand(there), theirs, "far")
    _enter(callers, one)
    one.enter()
    far.enter()
    callers.run(1)
    callers.away = (here.name,)
    callers.script.confine(here, ())
    callers.until_a_lease_is_over(lambda: far.times == 1, "the next one has it")
    one.enter()
    expect((one.times, one.lost) == (2, 1), "who is cut off is not told that it lost the lock")
    far.enter()
    callers.script.heal()
    callers.away = ()
    callers.run(WAIT_T_E)
    beside = ReentrantUse(callers.hand(here), lock, "beside")
    beside.enter()
    callers.run(WAIT_T_E)
    far.leave()
    callers.run(WAIT_T_E)
    expect(beside.times == 0, "somebody is inside beside who has it")
    far.leave()
    callers.until(lambda: beside.times == 1, "another one of the client that was cut off has it")
    one.enter()
    expect(one.lost == 2, "who lost it came in again")
    one.leave()
    one.leave()
    callers.run(WAIT_T_E)
    one.enter()
    callers.run(WAIT_T_E)
    expect((one.times, beside.times) == (0, 1), "who has it lost it to another one of its client")
    beside.leave()
    callers.until(lambda: one.times == 1, "who lost it has it again")
    one.leave()
    return callers.finish()


def dead_inside(seed: int, layout: str) -> Report:
    """A holder that is inside twice dies: the next one has the lock when its lease is over, and who begins in its place
    is not inside."""
    callers = Callers(seed, layout, SHORT_TTL_S)
    here, there, _ = callers.clients
    one, far = (ReentrantUse(callers.hand(client), SharedLock(LOCK), client.name) for client in (here, there))
    _enter(callers, one)
    one.enter()
    far.enter()
    callers.run(1)
    here.die(callers.script.now)
    callers.until_a_lease_is_over(lambda: far.times == 1, "the next one has it")
    new = ReentrantUse(callers.hand(here), SharedLock(LOCK), "new")
    new.enter()
    far.enter()
    far.leave()
    callers.run(WAIT_T_E)
    expect(new.times == 0, "who began in the place of the dead is inside")
    far.leave()
    callers.until(lambda: new.times == 1, "who began in the place of the dead has it in its turn")
    new.leave()
    return callers.finish()


def _enter(callers: Callers, caller: ReentrantUse, waits: bool = False) -> None:
    """It wants the lock; unless it `waits`, it has it soon."""
    caller.enter()
    if waits:
        callers.run(1)
    else:
        callers.until(lambda: caller.times == 1, "nobody has it, and it gets it")


# ---- double barriers -----------------------------------------------------------------------------


def newcomers(seed: int, layout: str) -> Report:
    """Somebody enters a double barrier while another one leaves it: who leaves waits for those before it alone."""
    callers = Callers(seed, layout)
    hands = [callers.hand(client) for client in callers.clients]
    first, second, late = (DoubleBarrierUse(hand) for hand in hands)
    _meet(callers, first, second)
    first.step()
    callers.run(1)
    late.step()
    callers.until(lambda: late.is_in_hand, "it is open still, and the late one comes in")
    expect(hands[0].going is not None, "who leaves did not wait for who was inside before")
    second.step()
    callers.until(lambda: hands[0].going is None, "who left first is out")
    expect(hands[1].going is not None, "who leaves did not wait for who came before it left")
    late.step()
    callers.until(lambda: all(hand.going is None for hand in hands), "all are out")
    return callers.finish()


def woken_at_the_door(seed: int, layout: str) -> Report:
    """Who waits at a double barrier is woken by what opens nothing, a write to its own key and a history that is gone:
    it waits on."""
    callers = Callers(seed, layout)
    hands = [callers.hand(client) for client in callers.clients[:2]]
    first, second = (DoubleBarrierUse(hand) for hand in hands)
    other, script = callers.clients[2], callers.script
    first.step()
    callers.run(1)
    asleep = _asleep(hands[0])
    (own,) = (key for key in callers.keys if key.startswith(ROOM.inside.key))
    other.keys.command(Put(own, b"", keep_value=True, keep_lease=True), script.now)
    callers.run(1)
    asleep = _asleep(hands[0], asleep)
    asked = callers.clients[0].gateway
    callers.away = (callers.clients[0].name,)
    script.confine(callers.clients[0], ())
    for number in range(2 * WINDOW):
        other.keys.command(Put(b"elsewhere", b"%d" % number), script.now)
    callers.run(1)
    script.heal()
    script.confine(callers.clients[0], [name for name in script.learners if name != asked])
    callers.run(4)
    callers.away = ()
    callers.run(1)
    _asleep(hands[0], asleep)
    script.heal()
    second.step()
    callers.until(lambda: first.is_in_hand and second.is_in_hand, "both are in")
    first.step()
    second.step()
    callers.until(lambda: all(hand.going is None for hand in hands), "both are out")
    return callers.finish()


def opener_gone(seed: int, layout: str) -> Report:
    """The key of who opens a double barrier goes before it does: it stays shut until another one comes."""
    callers = Callers(seed, layout)
    hands = [callers.hand(client) for client in callers.clients]
    first, gone, third = (DoubleBarrierUse(hand) for hand in hands)
    first.step()
    callers.run(1)
    before = set(callers.keys)
    opening = callers.script.hold(Propose, source=[callers.clients[1].name], when=_opens)
    gone.step()
    callers.until(lambda: bool(opening.found), "the last one opens")
    (own,) = (key for key in callers.keys if key not in before)
    callers.clients[2].keys.command(Delete(own), callers.script.now)
    callers.until(lambda: own not in callers.keys, "the key of who opens is gone")
    callers.script.release(opening)
    callers.run(WAIT_T_E)
    expect(ROOM.opened not in callers.keys, "it was opened by who is gone")
    expect(not first.is_in_hand and not gone.is_in_hand, "somebody is inside, and nobody else")
    third.step()
    callers.until(lambda: first.is_in_hand and third.is_in_hand, "the next one opens")
    first.step()
    third.step()
    callers.until(lambda: all(hand.going is None for hand in hands), "all are out")
    return callers.finish()


def _opens(caught: Caught) -> bool:
    """Whether a client opens a double barrier with this."""
    assert isinstance(caught.message, Propose)
    if caught.message.machine != "kv":
        return False
    changes = [decode_command(command) for command in commands(caught.message.body, caught.message.count)]
    puts = [op for change in changes if isinstance(change, Txn) for op in change.then if isinstance(op, Put)]
    return any(put.key == ROOM.opened for put in puts)


def _asleep(hand: Hand, before: ChangeCall | None = None) -> ChangeCall | None:
    """What it sleeps for, since it was woken `before`."""
    change = hand.going.change if hand.going is not None else None
    expect(change is not None, "who waits at a double barrier went on")
    expect(change is not before, "who waits was not woken")
    return change


def _meet(callers: Callers, *uses: DoubleBarrierUse) -> None:
    """They come in together."""
    for use in uses:
        use.step()
        callers.run(0.5)
    callers.until(lambda: all(use.is_in_hand for use in uses), "all are in")


# ---- queues and elections ------------------------------------------------------------------------


def given_back(seed: int, layout: str) -> Report:
    """A locked entry of a queue is given back, by a word and by a death: the one who waits has it."""
    callers = Callers(seed, layout, SHORT_TTL_S)
    first, second, third = (QueueUse(callers.hand(client), "locking-queue") for client in callers.clients)
    first.put()
    callers.run(1)
    first.take(patient=False)
    callers.until(lambda: first.is_in_hand, "it has the entry")
    second.take(patient=True)
    callers.run(1)
    third.take(patient=True)
    callers.run(WAIT_T_E)
    expect(not second.is_in_hand and not third.is_in_hand, "two have one entry")
    first.let_go()
    callers.until(lambda: second.is_in_hand, "who waited has it")
    expect(not third.is_in_hand, "two have one entry")
    callers.run(1)
    callers.clients[1].die(callers.script.now)
    callers.until_a_lease_is_over(lambda: third.is_in_hand, "who waited behind has it after the death")
    third.let_go()
    callers.run(1)
    return callers.finish()


def leaders(seed: int, layout: str) -> Report:
    """Who watches an election is told of each that leads, of what it says, and that nobody leads any more."""
    callers = Callers(seed, layout)
    line = span("election", "e")
    hands = [callers.hand(client) for client in callers.clients]
    first, second = (OneTurn(hand, line, name) for hand, name in zip(hands, (b"first", b"second"), strict=False))
    watcher = LeaderUse(hands[2])
    watcher.look(waits=False)
    callers.until(lambda: hands[2].going is None, "it is told that nobody leads")

    def told() -> bytes | None:
        callers.until(lambda: hands[2].going is None, "who watches is told")
        return watcher.seen.value if watcher.seen else None

    def watch() -> None:
        watcher.look(waits=True)
        callers.run(1)
        expect(hands[2].going is not None, "who watches is told of another leader, and there is none")

    watch()
    first.want()
    expect(told() == b"first", "who watches missed the first leader")
    watch()
    first.proclaim(b"first, still")
    expect(told() == b"first, still", "who watches missed what the leader said")
    watch()
    second.want()
    callers.run(WAIT_T_E)
    expect(hands[2].going is not None, "who watches is told of a candidate")
    assert first.held is not None
    first.give_back(first.held)
    expect(told() == b"second", "who watches missed the second leader")
    watch()
    assert second.held is not None
    second.give_back(second.held)
    expect(told() is None, "who watches was not told that nobody leads")
    return callers.finish()
