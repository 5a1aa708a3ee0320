"""Barriers, parties, elections and counters, in many orders of everything."""

from __future__ import annotations

from functools import partial

import pytest

from paxosd.machine.kv.records import KeyValue
from paxosd.machine.kv.requests import Delete, Put
from paxosd.recipes.barrier import MeetingRoom, await_absence, enter, leave, put_up
from paxosd.recipes.counter import Counted, add, value
from paxosd.recipes.election import leader, next_leader, proclaim
from paxosd.recipes.line import OwnKey, TakenTurn, WaitingLine, give_back, take_turn
from paxosd.recipes.names import span
from paxosd.recipes.party import join, members, next_members
from paxosd.recipes.steps import Do, KeyGone, OnFailure
from tests.recipes.world import World, WorldClient

SEEDS = pytest.mark.parametrize("seed", range(40))
ELECTION = span("election", "a")
PARTY = span("party", "a")


def entry(room: MeetingRoom, client: WorldClient, draw: int) -> OwnKey:
    return OwnKey(room.inside.key + b"%08d" % draw, b"", client.lease)


@SEEDS
def test_nobody_goes_through_before_all_are_there_and_nobody_is_left_waiting(seed: int) -> None:
    world = World(seed, trouble=0.0)
    room = MeetingRoom.named("a", 3)
    inside: dict[int, set[int]] = {}
    through: list[int] = []

    def come(client: WorldClient, draw: int, rounds: int) -> None:
        own = entry(room, client, draw * 10 + rounds)
        inside.setdefault(rounds, set()).add(draw)

        def entered(revision: int) -> None:
            assert len(inside[rounds]) == 3
            through.append(rounds)
            world.callers.append(lambda: go(own))

        def go(own: OwnKey) -> None:
            world.start(client, leave(room, own.key), left)

        def left(nothing: None) -> None:
            assert through.count(rounds) == 3
            if rounds:
                come(client, draw, rounds - 1)

        world.start(client, enter(room, own), entered)

    for draw in range(3):
        world.callers.append(partial(come, world.client(), draw, 2))
    world.run()

    assert (sorted(through), world.waiting(), world.items()) == ([0, 0, 0, 1, 1, 1, 2, 2, 2], [], {})


def test_who_came_last_and_was_gone_before_it_opened_opens_nothing() -> None:
    world = World(0, trouble=0.0)
    room = MeetingRoom.named("a", 2)
    for draw in (1, 2):
        own = entry(room, world.client(), draw)
        steps = enter(room, own)
        assert isinstance(next(steps), OnFailure)
        came = next(steps)
        assert isinstance(came, Do)
        step = steps.send(world.apply(came.change))
    assert isinstance(step, Do)  # it is about to open
    world.apply(Delete(own.key))  # its lease ran out meanwhile

    with pytest.raises(KeyGone):
        steps.send(world.apply(step.change))
    assert room.opened not in world.items()


@SEEDS
def test_those_who_die_at_a_double_barrier_are_not_in_the_way_of_the_next_ones(seed: int) -> None:
    world = World(seed, trouble=0.15)
    room = MeetingRoom.named("a", 2)

    def come(client: WorldClient, draw: int) -> None:
        own = entry(room, client, draw)
        world.start(client, enter(room, own), lambda revision: gone(client, own))

    def gone(client: WorldClient, own: OwnKey) -> None:
        world.start(client, leave(room, own.key))

    for draw in range(4):
        come(world.client(), draw)
    world.run()
    for client in world.clients:
        if not client.is_over:
            world.kill(client)
    world.trouble = 0.0
    world.run()
    assert [key for key in world.items() if key.startswith(room.inside.key)] == []

    through: list[int] = []
    for draw in (8, 9):
        client = world.client()
        assert through == []
        world.start(client, enter(room, entry(room, client, draw)), through.append)
        world.run()

    assert len(through) == 2


@SEEDS
def test_a_barrier_lets_all_through_when_it_is_lifted_or_who_put_it_up_dies(seed: int) -> None:
    world = World(seed, trouble=0.0)
    owner, key = world.client(), b"barrier/a/"
    stands: list[bool] = []
    through: list[None] = []
    for client in (owner, world.client()):
        world.start(client, put_up(key, b"", owner.lease), stands.append)
    world.run()
    assert sorted(stands) == [False, True]
    for _ in range(3):
        world.start(world.client(), await_absence(key), through.append)
    world.run()
    assert through == []

    if seed % 2:
        world.apply(Delete(key))
    else:
        world.kill(owner)
    world.run()

    assert (len(through), world.waiting(), world.items()) == (3, [], {})


@SEEDS
@pytest.mark.parametrize("trouble", [0.0, 0.1])
def test_one_leads_at_a_time_and_observers_see_the_last_one(trouble: float, seed: int) -> None:
    world = World(seed, trouble)
    observer = world.client()
    leading: list[WorldClient] = []
    seen: list[KeyValue | None] = []

    def check() -> None:
        assert len([each for each in leading if not each.is_over]) <= 1

    def observe(now: KeyValue | None) -> None:
        seen.append(now)
        world.start(observer, next_leader(ELECTION, now), observe, lambda error: observe(now))

    def come(client: WorldClient, draw: int) -> None:
        def leads(turn: TakenTurn) -> None:
            def resign(result: object) -> None:
                leading.remove(client)
                world.start(client, give_back(turn.key))

            leading.append(client)
            world.start(client, proclaim(turn, b"said by %d" % draw), resign, resign)

        world.start(
            client,
            take_turn(WaitingLine(ELECTION), OwnKey(ELECTION.key + b"%d" % draw, b"", client.lease), True),
            leads,
        )

    world.checks.append(check)
    observe(None)
    for draw in range(4):
        come(world.client(), draw)
    world.run()

    assert world.items() == {}
    if not observer.dead:
        assert (seen[-1], [run.client for run in world.waiting()]) == (None, [observer])


def test_who_leads_is_the_first_and_what_it_says_is_heard() -> None:
    world = World(0, trouble=0.0)
    client = world.client()
    told: list[KeyValue | None] = []
    world.start(client, leader(ELECTION), told.append)
    world.run()
    world.apply(Put(ELECTION.key + b"z", b"first", client.lease))
    world.apply(Put(ELECTION.key + b"a", b"second", client.lease))
    world.start(client, leader(ELECTION), told.append)
    world.run()

    assert [each and each.value for each in told] == [None, b"first"]


@SEEDS
def test_a_counter_counts_each_once(seed: int) -> None:
    world = World(seed, trouble=0.0)
    counted: list[Counted] = []
    for by in (1, 2, 3, -4, 5):
        world.start(world.client(), add(b"counter/a/", by, 10), counted.append)
    world.run()
    told: list[int] = []
    world.start(world.client(), value(b"counter/a/", 0), told.append)
    world.run()

    by_revision = sorted(counted, key=lambda each: each.revision)
    assert told == [17]
    assert [each.before for each in by_revision] == [10, *(each.after for each in by_revision[:-1])]


@SEEDS
def test_members_are_those_who_joined_and_live(seed: int) -> None:
    world = World(seed)
    for draw in range(5):
        client = world.client()
        world.start(client, join(OwnKey(PARTY.key + b"%d" % draw, b"", client.lease)))
    world.run()

    present = {item.lease for item in world.items().values()}
    assert present <= {client.lease for client in world.clients if not client.is_over}


def test_who_waits_for_other_members_sees_them_come_and_go() -> None:
    world = World(3, trouble=0.0)
    watcher, member = world.client(), world.client()
    seen: list[tuple[KeyValue, ...]] = []
    world.start(watcher, members(PARTY), seen.append)
    world.run()
    for change in (Put(PARTY.key + b"x", b"1", member.lease), Delete(PARTY.key + b"x")):
        world.start(watcher, next_members(PARTY, seen[-1]), seen.append)
        world.run()
        world.apply(change)
        world.run()

    assert [[item.value for item in each] for each in seen] == [[], [b"1"], []]
