"""Lines: mutual exclusion, order, fences, and nothing left behind, in many orders of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from paxosd.machine.kv.requests import Delete
from paxosd.recipes.line import OwnKey, RoomDiffers, TakenTurn, WaitingLine, give_back, take_turn, with_room
from paxosd.recipes.names import span
from paxosd.recipes.steps import KeyGone
from tests.recipes.world import World, WorldClient

SEEDS = pytest.mark.parametrize("seed", range(40))
LOCK = span("lock", "a")


class Users:
    """Clients that take turns of one line, some again and again."""

    def __init__(self, world: World, line: WaitingLine, patient: Callable[[], bool] = lambda: True) -> None:
        self.world, self.line, self.patient = world, line, patient
        self.holding: dict[WorldClient, TakenTurn] = {}
        self.fences: list[int] = []
        self.draws = 0
        world.checks.append(self.check)

    def come(self, client: WorldClient, times: int) -> None:
        """Take a turn, so many times."""
        if client.is_over or not times:
            return
        self.draws += 1
        value = with_room(self.line.room, b"") if self.line.room > 1 else b""
        entry = OwnKey(self.line.span.key + b"%08d" % self.draws, value, client.lease)

        def again(*_: Any) -> None:
            self.come(client, times - 1)

        def has(turn: TakenTurn | None) -> None:
            if turn is None:
                return again()
            self.holding[client] = turn
            self.fences.append(turn.fence)
            self.world.callers.append(lambda: self.leave(client, turn, again))

        self.world.start(client, take_turn(self.line, entry, self.patient()), has, again)

    def leave(self, client: WorldClient, turn: TakenTurn, again: Callable[..., None]) -> None:
        self.holding.pop(client, None)
        if not client.is_over:
            self.world.start(client, give_back(turn.key), again, again)

    def check(self) -> None:
        for client in [client for client in self.holding if client.is_over]:
            del self.holding[client]
        assert len(self.holding) <= self.line.room


@SEEDS
@pytest.mark.parametrize("trouble", [0.0, 0.1])
@pytest.mark.parametrize("room", [1, 2, 3])
def test_no_more_than_the_room_have_their_turn_and_everybody_gets_one(room: int, trouble: float, seed: int) -> None:
    world = World(seed, trouble)
    users = Users(world, WaitingLine(LOCK, room))
    for _ in range(5):
        users.come(world.client(), 2)

    world.run()

    assert (world.waiting(), world.items()) == ([], {})
    if room == 1:
        assert users.fences == sorted(set(users.fences))
    if not trouble:
        assert len(users.fences) == 10


@SEEDS
def test_who_does_not_want_to_wait_leaves_nothing_behind(seed: int) -> None:
    world = World(seed)
    users = Users(world, WaitingLine(LOCK, 1 + seed % 3), lambda: world.random.random() < 0.3)
    for _ in range(5):
        users.come(world.client(), 2)

    world.run()

    assert (world.waiting(), world.items()) == ([], {})


@SEEDS
def test_one_that_goes_wakes_one(seed: int) -> None:
    world = World(seed, trouble=0.0)
    users = Users(world, WaitingLine(LOCK))
    for _ in range(8):
        users.come(world.client(), 1)

    world.run()

    assert len(users.fences) == 8
    assert world.wakes <= 7


@SEEDS
def test_turns_come_in_the_order_of_coming(seed: int) -> None:
    world = World(seed, trouble=0.0)
    order: list[int] = []
    holder = world.client()
    world.start(holder, take_turn(WaitingLine(LOCK), OwnKey(LOCK.key + b"first", b"", holder.lease), True))
    world.run()

    for draw in range(6):
        client = world.client()
        key = LOCK.key + b"%d" % (9 - draw)  # names say nothing

        def has(turn: TakenTurn, draw: int = draw, client: WorldClient = client) -> None:
            order.append(draw)
            world.start(client, give_back(turn.key))

        world.start(client, take_turn(WaitingLine(LOCK), OwnKey(key, b"", client.lease), True), has)
        world.run()
    world.start(holder, give_back(LOCK.key + b"first"))
    world.run()

    assert order == list(range(6))


@SEEDS
def test_readers_share_and_a_writer_is_alone(seed: int) -> None:
    world = World(seed)
    everybody, writers, readers = (span("rw", "a", *part) for part in ((), ("write",), ("read",)))
    reading: list[WorldClient] = []
    writing: list[WorldClient] = []

    def check() -> None:
        reads, writes = ([each for each in those if not each.is_over] for those in (reading, writing))
        assert len(writes) <= 1
        assert not (reads and writes)

    def come(client: WorldClient, draw: int, is_reader: bool) -> None:
        line = WaitingLine(writers if is_reader else everybody)
        key = (readers if is_reader else writers).key + b"%08d" % draw
        holding = reading if is_reader else writing

        def has(turn: TakenTurn) -> None:
            def leave() -> None:
                holding.remove(client)
                world.start(client, give_back(turn.key))

            holding.append(client)
            world.callers.append(leave)

        world.start(client, take_turn(line, OwnKey(key, b"", client.lease), patient=True), has)

    world.checks.append(check)
    for draw in range(8):
        come(world.client(), draw, world.random.random() < 0.6)
    world.run()

    assert (world.waiting(), world.items()) == ([], {})


@pytest.mark.parametrize("order", [1, -1])
def test_names_that_begin_alike_have_lines_of_their_own(order: int) -> None:
    world = World(0, trouble=0.0)
    turns: list[TakenTurn] = []
    for name in ("a", "a/b", "ab", "a%2Fb", " ", "/", b"\xff")[::order]:
        client = world.client()
        place = span("lock", name)
        own = OwnKey(place.key + b"x", b"", client.lease)
        world.start(client, take_turn(WaitingLine(place), own, patient=True), turns.append)
        world.run()

    assert len(turns) == 7


def test_who_is_behind_another_waiter_has_a_turn_beside_it_as_soon_as_there_is_room() -> None:
    world = World(0, trouble=0.0)
    has: list[int] = []
    client = world.client()
    for draw in range(4):
        own = OwnKey(LOCK.key + b"%d" % draw, with_room(2, b""), client.lease)
        steps = take_turn(WaitingLine(LOCK, 2), own, patient=True)
        world.start(client, steps, lambda turn, draw=draw: has.append(draw))  # type: ignore[misc]
        world.run()
    assert has == [0, 1]
    for draw in range(2):
        world.start(client, give_back(LOCK.key + b"%d" % draw))
        world.run()

        assert has == list(range(draw + 3))


@pytest.mark.parametrize("room", [1, 2])
def test_a_waiter_whose_key_somebody_removes_has_no_turn_and_is_told_so(room: int) -> None:
    world = World(0, trouble=0.0)
    turns: list[TakenTurn] = []
    errors: list[BaseException] = []
    client = world.client()
    for draw in range(room + 2):
        own = OwnKey(LOCK.key + b"%d" % draw, with_room(room, b""), client.lease)
        world.start(client, take_turn(WaitingLine(LOCK, room), own, patient=True), turns.append, errors.append)
        world.run()

    world.apply(Delete(LOCK.key + b"%d" % room))
    world.run()
    for draw in range(room):
        world.apply(Delete(LOCK.key + b"%d" % draw))
    world.run()

    assert [type(error) for error in errors] == [KeyGone]
    assert [turn.key[-1:] for turn in turns] == [b"%d" % draw for draw in (*range(room), room + 1)]


def test_a_line_has_one_room_for_all() -> None:
    world = World(0, trouble=0.0)
    errors: list[BaseException] = []
    for room in (2, 3):
        client = world.client()
        entry = OwnKey(LOCK.key + b"%d" % room, with_room(room, b"me"), client.lease)
        world.start(client, take_turn(WaitingLine(LOCK, room), entry, True), failed=errors.append)

    world.run()

    assert [type(error) for error in errors] == [RoomDiffers]
    assert len(world.items()) == 1
