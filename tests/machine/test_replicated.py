"""A machine made of an ordinary class."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from paxosd.core.agent import InvariantBroken
from paxosd.core.options import COMMAND_BYTES_MAX
from paxosd.machine.base import QueryRefused, StateMachine
from paxosd.machine.replicated import CallFailed, Rejected, query, replicated, since
from paxosd.testing import FedMachine, MachineContract


class Overdrawn(Rejected):
    pass


class PlainBank:
    """Accounts by name."""

    def __init__(self) -> None:
        self.accounts: dict[str, Any] = {}

    def deposit(self, name: str, amount: int = 1) -> int:
        self.accounts[name] = self.accounts.get(name, 0) + amount
        return int(self.accounts[name])

    @since(2, "deposit")
    def deposit_two_for_one(self, name: str, amount: int) -> int:
        return int(self.deposit(name, 2 * amount))

    def withdraw(self, name: str, amount: int) -> int:
        if self.accounts.get(name, 0) < amount:
            raise Overdrawn(f"{name} has less than {amount}")
        return int(self.deposit(name, -amount))

    def write(self, name: str, what: Any) -> None:
        self.accounts[name] = what

    def repeat(self, text: str, times: int) -> str:
        return text * times

    @query
    def balance(self, name: str) -> Any:
        return self.accounts[name]

    def _secret(self) -> None:
        self.accounts = {}

    def dump(self) -> Any:
        return self.accounts

    def load(self, state: Any) -> None:
        self.accounts = state

    def upgrade(self, state: Any, version: int) -> Any:
        return {name: amount * 100 for name, amount in state}


Bank = replicated(version=2)(PlainBank)


@pytest.fixture
def bank() -> FedMachine:
    return FedMachine(Bank)


def call(fed: FedMachine, name: str, *arguments: object, **named: object) -> Any:
    (result,) = fed.slot([Bank.command(name, *arguments, **named)])
    return Bank.result(result)


def ask(fed: FedMachine, name: str, *arguments: object) -> Any:
    answer = fed.ask(Bank.question(name, *arguments))
    assert answer is not None
    return Bank.result(answer)


class TestBank(MachineContract):
    @staticmethod
    def make() -> StateMachine:
        return Bank()

    dotted = "tests.machine.test_replicated:Bank"
    commands = (
        Bank.command("deposit", "alice", 5),
        Bank.command("withdraw", "alice", amount=7),
        Bank.command("withdraw", "bob", 1),
        Bank.command("write", "bob", {b"k": [1, None, 2.5, True], 7: {}}),
        Bank.command("write", "large", "x" * 200_000),
    )
    questions = (Bank.question("balance", "alice"), Bank.question("balance", "bob"))


def test_a_public_method_is_a_command_and_its_value_the_result(bank: FedMachine) -> None:
    assert call(bank, "deposit", "alice", 5) == 10
    assert call(bank, "withdraw", "alice", amount=3) == 7


def test_a_marked_method_is_a_question_and_no_command(bank: FedMachine) -> None:
    call(bank, "deposit", "alice", 5)

    assert ask(bank, "balance", "alice") == 10
    with pytest.raises(TypeError, match="no command 'balance'"):
        Bank.command("balance", "alice")
    with pytest.raises(TypeError, match="no question 'deposit'"):
        Bank.question("deposit", "alice", 5)


@pytest.mark.parametrize("name", ["_secret", "dump", "load", "upgrade", "__init__", "nothing"])
def test_what_is_no_public_method_cannot_be_called(bank: FedMachine, name: str) -> None:
    call(bank, "deposit", "alice", 5)
    with pytest.raises(TypeError):
        Bank.command(name)
    (result,) = bank.slot([msgpack.packb([2, name, [], {}])])

    with pytest.raises(CallFailed, match="NoSuchCall"):
        Bank.result(result)
    with pytest.raises(QueryRefused):
        bank.machine.query(msgpack.packb([2, name, [], {}]), 0, 0)
    assert ask(bank, "balance", "alice") == 10


def test_arguments_that_do_not_fit_are_told_where_the_call_is_made() -> None:
    with pytest.raises(TypeError, match="missing"):
        Bank.command("deposit", "alice")
    with pytest.raises(TypeError, match="no value of msgpack"):
        Bank.command("deposit", "alice", object())


def test_a_method_may_reject_a_call_and_its_text_is_told(bank: FedMachine) -> None:
    with pytest.raises(CallFailed) as failed:
        call(bank, "withdraw", "alice", 1)

    assert (failed.value.name, failed.value.text) == ("Overdrawn", "alice has less than 1")


def test_a_method_that_fails_ends_nothing_and_only_the_name_of_the_error_is_told(bank: FedMachine) -> None:
    with pytest.raises(CallFailed) as failed:
        call(bank, "deposit", "alice", "five")

    assert (failed.value.name, failed.value.text) == ("TypeError", "")
    with pytest.raises(CallFailed, match="KeyError"):
        ask(bank, "balance", "nobody")


def test_a_command_of_an_earlier_version_means_what_it_meant(bank: FedMachine) -> None:
    bank.slot([msgpack.packb([1, "deposit", ["alice"], {}])])

    assert ask(bank, "balance", "alice") == 1


def test_a_command_of_a_later_version_is_refused(bank: FedMachine) -> None:
    (result,) = bank.slot([msgpack.packb([3, "deposit", ["alice", 1], {}])])

    with pytest.raises(CallFailed, match="NoSuchCall"):
        Bank.result(result)


@pytest.mark.parametrize("number", [2**63, 2**64, 2**70, -(2**63) - 1, -(2**80), 2**64 - 1])
def test_large_numbers_are_kept_and_told(bank: FedMachine, number: int) -> None:
    call(bank, "write", "alice", number)
    bank.keep()
    bank.live_again()

    assert ask(bank, "balance", "alice") == number


def test_a_number_of_thousands_of_bytes_is_no_argument(bank: FedMachine) -> None:
    with pytest.raises(CallFailed, match="NoSuchCall"):
        call(bank, "write", "alice", 1 << 8 * 2000)


def test_arguments_that_are_nested_so_deep_that_they_could_not_be_written_are_no_call(bank: FedMachine) -> None:
    content = b"\x94\x02\xa5write\x92\xa1k" + b"\x91" * 600 + b"\xc0\x80"
    (result,) = bank.slot([content])

    with pytest.raises(CallFailed, match="NoSuchCall"):
        Bank.result(result)
    bank.keep()


def test_a_result_that_is_too_large_is_not_told(bank: FedMachine) -> None:
    with pytest.raises(CallFailed, match="TooLarge"):
        call(bank, "repeat", "x" * 1000, COMMAND_BYTES_MAX // 500)


def test_only_rows_that_differ_are_written(bank: FedMachine) -> None:
    call(bank, "write", "a", "x" * 200_000)
    call(bank, "write", "b", 1)
    bank.keep()
    call(bank, "write", "b", 2)
    put, delete = bank.machine.changes()

    assert ([key for key, _ in put], delete) == ([(3).to_bytes(4, "big")], [])


def test_a_state_that_shrinks_gives_rows_back(bank: FedMachine) -> None:
    call(bank, "write", "a", "x" * 200_000)
    bank.keep()
    call(bank, "write", "a", "")
    bank.keep()

    assert len(bank.rows) == 1


def of_version(version: int) -> FedMachine:
    """Another life of a bank, whose rows are of this version."""
    fed = FedMachine(Bank)
    fed.rows = {bytes(4): msgpack.packb([version, [["alice", 3]]])}
    fed.live_again()
    return fed


def test_a_state_of_an_earlier_version_is_upgraded() -> None:
    assert ask(of_version(1), "balance", "alice") == 300


def test_a_state_of_a_later_version_ends_the_node() -> None:
    with pytest.raises(InvariantBroken, match="of version 3"):
        of_version(3)


def test_an_earlier_state_of_a_class_that_cannot_upgrade_it_ends_the_node() -> None:
    @replicated(version=2)
    class Plain:
        def dump(self) -> None: ...
        def load(self, state: Any) -> None: ...

    machine: Any = Plain()
    with pytest.raises(InvariantBroken, match="Plain of 2"):
        machine.restore([(bytes(4), msgpack.packb([1, None]))])


def test_a_class_that_cannot_be_made_one_says_why() -> None:
    class NoDump:
        def load(self, state: Any) -> None: ...

    class TooNew:
        def dump(self) -> None: ...
        def load(self, state: Any) -> None: ...
        @since(2, "f")
        def f(self) -> None: ...

    class Twice:
        def dump(self) -> None: ...
        def load(self, state: Any) -> None: ...
        def f(self) -> None: ...
        @since(1, "f")
        def g(self) -> None: ...

    for plain, why in ((NoDump, "dump"), (TooNew, "since 2"), (Twice, "two meanings")):
        with pytest.raises(TypeError, match=why):
            replicated()(plain)


def test_the_machine_has_the_name_of_the_class_and_the_class_beside_it() -> None:
    assert (Bank.__name__, Bank.__module__, Bank.__doc__) == ("PlainBank", __name__, "Accounts by name.")
    assert Bank.plain is PlainBank
