"""Queues: every entry goes to one taker, in order, and a locked one comes back when its taker dies."""

from __future__ import annotations

from functools import partial

import pytest

from paxosd.machine.kv.requests import Delete, Put
from paxosd.recipes.line import OwnKey
from paxosd.recipes.queue import EntryTaker, QueuePlaces, Taken, consume, let_go, take
from paxosd.recipes.steps import KeyGone, do
from tests.recipes.world import World, WorldClient

SEEDS = pytest.mark.parametrize("seed", range(40))
PLACES = QueuePlaces("queue", "a")


def taking(client: WorldClient, draw: int, token: bytes = b"") -> EntryTaker:
    return EntryTaker(OwnKey(PLACES.taker(f"{draw:08d}"), b"", client.lease), token)


def entries(world: World) -> list[bytes]:
    return [item.value for key, item in world.items().items() if key.startswith(PLACES.entries.key)]


@SEEDS
@pytest.mark.parametrize("trouble", [0.0, 0.1])
def test_every_entry_goes_to_one_taker_and_nobody_waits_while_there_are_some(trouble: float, seed: int) -> None:
    world = World(seed, trouble)
    got: list[bytes] = []
    put: list[bytes] = []

    def put_one(client: WorldClient, value: bytes) -> None:
        world.start(client, do(Put(PLACES.entry(0, value.decode()), value)), lambda done: put.append(value))

    def take_one(client: WorldClient, draw: int, patient: bool) -> None:
        def has(taken: Taken | None) -> None:
            got.extend([taken.entry.value] if taken is not None else [])

        world.start(client, take(PLACES, taking(client, draw), patient), has)

    for draw in range(6):
        world.callers.append(partial(put_one, world.client(), b"%d" % draw))
        patient = world.random.random() < 0.7
        world.callers.append(partial(take_one, world.client(), draw, patient))
    world.run()

    left = entries(world)
    assert len(got) == len(set(got))
    assert not set(got) & set(left)
    assert left == [] or world.waiting() == []
    if not trouble:
        assert sorted(got + left) == sorted(put)


def test_entries_go_in_the_order_of_their_priorities_and_then_of_their_coming() -> None:
    world = World(1, trouble=0.0)
    client = world.client()
    for number, priority in enumerate([5, 0, 5, 1, 0]):
        world.apply(Put(PLACES.entry(priority, f"{9 - number}"), b"%d" % number))  # names say nothing
    got: list[bytes] = []

    for draw in range(6):
        world.start(
            client,
            take(PLACES, taking(client, draw), patient=False),
            lambda taken: got.append(taken.entry.value if taken else b"none"),
        )
        world.run()

    assert got == [b"1", b"4", b"3", b"0", b"2", b"none"]


@SEEDS
def test_a_put_wakes_one_taker(seed: int) -> None:
    world = World(seed, trouble=0.0)
    got: list[Taken] = []
    for draw in range(8):
        client = world.client()
        world.start(client, take(PLACES, taking(client, draw), patient=True), got.append)
    world.run()
    assert world.wakes == 0
    for number in range(8):
        world.apply(Put(PLACES.entry(0, str(number)), b"%d" % number))
        world.run()

    assert [taken.entry.value for taken in got] == [b"%d" % number for number in range(8)]
    assert world.wakes <= 16


@SEEDS
def test_a_taker_whose_key_is_removed_while_it_looks_for_entries_hears_of_it(seed: int) -> None:
    world = World(seed, trouble=0.0)
    client = world.client()
    errors: list[BaseException] = []
    own = taking(client, 1)
    world.start(client, take(PLACES, own, patient=True), failed=errors.append)
    while own.taker.key not in world.items():
        world.step(lambda: [])
    for _ in range(seed % 10):
        world.step(lambda: [])
    world.apply(Delete(own.taker.key))
    world.run()

    assert [type(error) for error in errors] == [KeyGone]


@SEEDS
def test_a_locked_entry_has_one_taker_and_comes_back_if_it_dies(seed: int) -> None:
    world = World(seed)
    for number in range(5):
        world.apply(Put(PLACES.entry(0, str(number)), b"%d" % number))
    holding: dict[WorldClient, Taken] = {}
    consumed: list[bytes] = []

    def check() -> None:
        held = [taken.entry.key for client, taken in holding.items() if not client.is_over]
        assert len(held) == len(set(held))

    def work(client: WorldClient, draw: int) -> None:
        token = b"token%d" % draw

        def has(taken: Taken) -> None:
            holding[client] = taken
            world.callers.append(lambda: end(taken))

        def end(taken: Taken) -> None:
            def give_up(error: BaseException) -> None:
                world.start(client, let_go(taken, token))

            holding.pop(client)
            if world.random.random() < 0.5:
                world.start(client, consume(PLACES, taken), lambda done: consumed.append(taken.entry.value), give_up)
            else:
                world.start(client, let_go(taken, token), lambda done: work(client, draw + 100))

        world.start(client, take(PLACES, taking(client, draw, token), patient=True), has)

    world.checks.append(check)
    for draw in range(4):
        work(world.client(), draw)
    world.run()

    left = entries(world)
    assert len(consumed) == len(set(consumed))
    assert not set(consumed) & set(left)
    assert left == [] or world.waiting() == []
    assert [key for key in world.items() if key.startswith(PLACES.taken.key)] == []
