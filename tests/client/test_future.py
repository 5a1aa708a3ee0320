"""A future of a client is one of the standard library, and of its own it wakes nobody but who waits for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, as_completed, wait
from random import Random

import pytest

from paxosd import Client, ProposeTimeout
from paxosd.client.calls import Command, Question
from paxosd.client.future import Future
from paxosd.client.outbox import Outbox
from paxosd.client.outcomes import Receipt
from paxosd.client.pacing import Pacing
from paxosd.core.messages import GetStatus
from tests.client.test_histories import Cluster

FAR = 1e9


class Thread:
    """The part of a worker that a future uses."""

    is_foreign = False

    def wait(self, pending: Command, timeout_s: float | None) -> None:
        """Nobody makes it done meanwhile."""


def future(command: Command | None = None) -> Future:
    return Future(object(), Thread(), command or Command(b"v", FAR))  # type: ignore[arg-type]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(["a:1"], link=Cluster(), timeout=20) as made:
        yield made


# ---- with the standard library -------------------------------------------------------------------


def test_it_is_a_future_of_the_standard_library_and_keeps_nothing_of_it_until_that_is_asked_for() -> None:
    one = future()

    assert isinstance(one, concurrent.futures.Future)
    assert not one.done()
    assert not any(name in vars(one) for name in vars(concurrent.futures.Future()))


def test_wait_and_as_completed_see_each_as_it_is_done(client: Client) -> None:
    futures = [client.propose_async(b"%d" % number) for number in range(50)]
    first = wait(futures, 20, FIRST_COMPLETED)
    assert first.done
    every = wait(futures, 20)

    assert (len(every.done), every.not_done) == (50, set())
    assert sorted(one.result().revision for one in as_completed(futures, 20)) == list(range(1, 51))


def test_wait_that_ends_too_early_leaves_the_future_as_it_was() -> None:
    command = Command(b"v", FAR)
    one = future(command)
    assert wait([one], 0) == (set(), {one})
    command.succeed(Receipt(1, 1))

    assert wait([one], 0) == ({one}, set())


def test_a_callback_is_called_once_with_the_future_that_is_done() -> None:
    command = Command(b"v", FAR)
    told: list[object] = []
    one = future(command)
    one.add_done_callback(told.append)
    one.add_done_callback(lambda done: told.append(done.result()))
    assert told == []
    command.succeed(Receipt(3, 4))
    command.fail(ProposeTimeout("unknown"))

    assert told == [one, Receipt(3, 4)]


def test_a_callback_of_what_is_done_is_called_at_once() -> None:
    command = Command(b"v", FAR)
    told: list[object] = []
    command.fail(ProposeTimeout("unknown: …"))
    one = future(command)
    one.add_done_callback(lambda done: told.append(type(done.exception())))

    assert told == [ProposeTimeout]


def test_a_callback_that_fails_harms_neither_the_others_nor_the_client(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()
    one = client.propose_async(b"a")
    one.add_done_callback(lambda _: 1 // 0)
    one.add_done_callback(lambda _: told.set())

    assert told.wait(20)
    assert client.propose(b"b").revision == 2


def test_it_can_be_awaited_in_asyncio(client: Client) -> None:
    async def propose() -> list[Receipt]:
        return await asyncio.gather(*(asyncio.wrap_future(client.propose_async(b"%d" % number)) for number in range(5)))

    assert [receipt.revision for receipt in asyncio.run(propose())] == [1, 2, 3, 4, 5]


def test_many_threads_may_begin_to_wait_while_it_is_done(client: Client) -> None:
    for _ in range(30):
        one = client.propose_async(b"v")
        told: list[bool] = []
        threads = [threading.Thread(target=lambda: told.append(one in wait([one], 20).done)) for _ in range(8)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert told == [True] * 8


def test_a_callback_keeps_a_forgotten_client_until_it_is_called() -> None:
    told = threading.Event()
    cluster = Cluster()
    client = Client(["a:1"], link=cluster, timeout=20)
    known = weakref.ref(client)
    client.propose_async(b"v").add_done_callback(lambda _: told.set())
    del client
    gc.collect()

    assert told.wait(20)
    gc.collect()
    assert known() is None


# ---- cancelling ----------------------------------------------------------------------------------


def test_what_was_not_sent_can_be_taken_back() -> None:
    command = Command(b"v", FAR)
    told: list[object] = []
    one = future(command)
    one.add_done_callback(told.append)

    assert one.cancel()
    assert one.cancel()
    assert (one.cancelled(), one.done(), one.running()) == (True, True, False)
    assert told == [one]
    assert not command.begin()
    with pytest.raises(CancelledError, match="not applied"):
        one.result()
    with pytest.raises(CancelledError):
        one.exception()
    assert wait([one], 0).done == {one}


def test_what_was_sent_or_is_done_cannot_be_taken_back(client: Client) -> None:
    sent = Command(b"v", FAR)
    sent.begin()
    one = future(sent)
    done = client.propose_async(b"v")
    receipt = done.result(20)

    assert not one.cancel()
    assert (one.cancelled(), one.running()) == (False, True)
    assert not done.cancel()
    assert done.result() == receipt


def test_a_value_is_either_sent_or_taken_back_also_if_both_come_at_once() -> None:
    commands = [Command(b"v", FAR) for _ in range(20_000)]
    together = threading.Barrier(2)
    taken: list[bool] = []

    def take_back() -> None:
        together.wait(20)
        taken.extend(command.take_back() for command in reversed(commands))

    caller = threading.Thread(target=take_back)
    caller.start()
    together.wait(20)
    begun = [command.begin() for command in commands]
    caller.join()

    assert begun == [not back for back in reversed(taken)]
    assert [command.is_begun for command in commands] == begun
    assert [command.taken_back for command in commands] == [not sent for sent in begun]


def test_a_value_that_was_taken_back_is_passed_over_and_gives_its_room_back() -> None:
    outbox = Outbox(Pacing(Random(1)))
    kept, gone, last = (Command(value, FAR) for value in (b"kept", b"gone", b"last"))
    outbox.add([kept, gone, last])
    assert gone.take_back()
    sent = outbox.sendable(lambda command: None)

    assert sent == [kept, last]
    assert [command.seq for command in sent] == [1, 2]
    assert outbox._bytes == len(b"kept") + len(b"last")


# ---- waking --------------------------------------------------------------------------------------


def test_the_end_of_a_call_opens_the_turnstiles_of_that_call_alone() -> None:
    mine, other = Question(GetStatus(1), FAR), Command(b"v", FAR)
    locks = [threading.Lock() for _ in range(3)]
    for lock in locks:
        lock.acquire()
    mine.turnstiles += locks[:2]
    other.turnstiles.append(locks[2])
    mine.fail(ProposeTimeout("…"))

    assert [lock.locked() for lock in locks] == [False, False, True]
