"""What every state machine promises (see `machine/base.py`): subclass, and say how to make one.

Laws:
1. The state is a function of the log: equal commands in equal order give equal digests, in every process.
2. How the commands came, one by one or many at once, makes no difference.
3. A digest is a look; it changes nothing.
4. A machine that was restored from the rows that another one told, at any times, is that other one. What did not change
   is not told again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from paxosd.machine.base import StateMachine

COMMANDS = [b"one", b"two", b"", b"\x00\xff", b"one", b"x" * 1000]


def feed(machine: StateMachine, commands: Sequence[bytes], sizes: Sequence[int] = ()) -> StateMachine:
    """Apply all commands: the first `sizes[0]` at once, then `sizes[1]` …, and the rest at once."""
    position = 0
    for size in [*sizes, len(commands)]:
        run = list(commands[position : position + size])
        if run:
            machine.apply(position + 1, run, 0)
        position += len(run)
    return machine


def take_changes(machine: StateMachine, rows: dict[bytes, bytes]) -> None:
    """Write what changed into these rows."""
    put, deleted = machine.changes()
    assert not set(dict(put)) & set(deleted)
    for key in deleted:
        del rows[key]
    rows |= put


class StateMachineContract:
    """Run by a subclass `Test…` that says how a machine is made."""

    @staticmethod
    def make() -> StateMachine:
        """A machine to which nothing was applied yet."""
        raise AssertionError("say how to make one")

    def test_fresh_machines_are_equal(self) -> None:
        assert self.make().digest() == self.make().digest()

    def test_equal_logs_give_equal_digests_after_every_command(self) -> None:
        one, other = self.make(), self.make()
        for revision, command in enumerate(COMMANDS, 1):
            one.apply(revision, [command], 0)
            other.apply(revision, [bytes(bytearray(command))], 0)

            assert one.digest() == other.digest()

    def test_every_order_of_different_commands_has_its_own_digest(self) -> None:
        digests = [feed(self.make(), order).digest() for order in permutations([b"a", b"b", b"ab", b""])]

        assert len(set(digests)) == len(digests) == 24

    def test_every_prefix_of_a_log_has_its_own_digest(self) -> None:
        digests = [feed(self.make(), COMMANDS[:length]).digest() for length in range(len(COMMANDS) + 1)]

        assert len(set(digests)) == len(digests)

    @settings(derandomize=True, deadline=None)
    @given(st.lists(st.binary(max_size=5)), st.lists(st.integers(0, 4)))
    def test_how_commands_are_batched_makes_no_difference(self, commands: list[bytes], sizes: list[int]) -> None:
        assert feed(self.make(), commands, sizes).digest() == feed(self.make(), commands).digest()

    def test_where_one_command_ends_and_the_next_begins_makes_a_difference(self) -> None:
        assert feed(self.make(), [b"ab", b"c"]).digest() != feed(self.make(), [b"a", b"bc"]).digest()

    def test_a_digest_changes_nothing(self) -> None:
        looked_at, other = self.make(), self.make()
        for revision, command in enumerate(COMMANDS, 1):
            looked_at.apply(revision, [command], 0)
            looked_at.digest()
            looked_at.digest()

        assert looked_at.digest() == feed(other, COMMANDS).digest()

    @settings(derandomize=True, deadline=None)
    @given(st.lists(st.binary(max_size=5)), st.lists(st.integers(0, 30)))
    def test_what_is_restored_from_rows_goes_on_as_the_one_that_told_them(
        self, commands: list[bytes], told_at: list[int]
    ) -> None:
        machine, steady, rows = self.make(), self.make(), dict[bytes, bytes]()
        for revision, command in enumerate(commands, 1):
            machine.apply(revision, [command], 0)
            steady.apply(revision, [command], 0)
            if revision in told_at:
                take_changes(machine, rows)
                machine = self.make()
                machine.restore(list(rows.items()))
                assert machine.digest() == steady.digest()

        assert machine.digest() == steady.digest()

    def test_what_is_told_counts_as_written_and_is_not_told_again(self) -> None:
        machine, rows = feed(self.make(), COMMANDS), dict[bytes, bytes]()
        take_changes(machine, rows)

        assert machine.changed_rows == 0
        assert machine.changes() == ([], [])

    def test_a_machine_without_rows_is_a_fresh_one(self) -> None:
        machine = feed(self.make(), COMMANDS)
        machine.restore([])

        assert machine.digest() == self.make().digest()

    def test_commands_are_not_changed_and_not_needed_any_more(self) -> None:
        machine, given_away = self.make(), list(COMMANDS)
        machine.apply(1, given_away, 0)
        before = machine.digest()

        assert given_away == COMMANDS
        given_away[0] = b"changed"
        assert machine.digest() == before

    def test_another_process_with_another_hash_seed_finds_the_same_digest(self) -> None:
        kind = type(self.make())
        program = (
            f"from {kind.__module__} import {kind.__name__} as Machine\n"
            f"machine = Machine()\nmachine.apply(1, {COMMANDS!r}, 0)\nprint(machine.digest().hex())"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "12345"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)

        assert done.stdout.strip() == feed(self.make(), COMMANDS).digest().hex()
