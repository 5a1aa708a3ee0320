"""What every state machine promises (see `machine/base.py`), as tests for yours. They need no cluster and no helpers.

    from paxosd.testing import MachineContract

    class TestBank(MachineContract):
        make = staticmethod(Bank)
        commands = [Bank.command("deposit", "alice", 5), Bank.command("withdraw", "alice", 7)]
        questions = [Bank.question("balance", "alice")]

Give commands that meet each other: the tests put them together at random, the same way each time.

Laws:
1. The state is a function of the log: equal commands in equal order, at equal log times, give equal digests, results
   and answers; in every process, whatever order its sets and dicts have.
2. How the commands came, one by one or many at once, makes no difference.
3. To look changes nothing: a digest, a question, what is due.
4. A machine that was restored from the rows that another one told, at any times, is that other one. What did not change
   is not told again.
5. Bytes that make no sense are no exception.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from random import Random

from paxosd.machine.base import StateMachine
from paxosd.testing.feeding import FedMachine

LOGS = 20
SLOTS = 12
SLOT_COMMANDS_MAX = 6
SOME_MS = (0, 0, 1, 20, 500, 2000, 60_000)

Slot = tuple[int, list[bytes]]
"""How many milliseconds after the one before, and its commands."""


class MachineContract:
    """Subclass it with a name that your test runner finds; each test that fails says in a sentence what is not so."""

    commands: Sequence[bytes] = ()
    """Some that the machine knows."""
    questions: Sequence[bytes] = ()
    """Some that it answers."""
    dotted: str = ""
    """Where another process finds it, as `package.module:Name`; by default, where its class says."""

    @staticmethod
    def make() -> StateMachine:
        """A machine to which nothing was applied yet."""
        raise AssertionError("say how to make one")

    # ---- logs ----

    def logs(self) -> Iterator[list[Slot]]:
        """Logs of these commands, with some bytes that make no sense, at random but always the same ones."""
        for seed in range(LOGS):
            random = Random(seed)
            yield [
                (random.choice(SOME_MS), [self._draw(random) for _ in range(random.randrange(SLOT_COMMANDS_MAX))])
                for _ in range(SLOTS)
            ]

    def _draw(self, random: Random) -> bytes:
        if not self.commands or random.random() < 0.1:
            return self._nonsense(random)
        return random.choice(self.commands)

    def _nonsense(self, random: Random) -> bytes:
        """Bytes, often nearly a command or a question."""
        known = [*self.commands, *self.questions]
        content = bytearray(random.choice(known) if known else b"")
        for _ in range(random.randrange(1, 4)):
            if content and random.random() < 0.5:
                content[random.randrange(len(content))] = random.randrange(256)
            elif content and random.random() < 0.5:
                del content[random.randrange(len(content)) :]
            else:
                content += random.randbytes(random.randrange(8))
        return bytes(content)

    def _fed(self) -> FedMachine:
        return FedMachine(self.make)

    # ---- the laws ----

    def test_fresh_machines_are_equal(self) -> None:
        """Nothing happened yet, and it looks alike."""
        assert self._fed().facts(self.questions) == self._fed().facts(self.questions), "two fresh machines differ"

    def test_equal_logs_give_equal_states_and_results(self) -> None:
        """Law 1."""
        for log in self.logs():
            one, other = self._fed(), self._fed()
            for ms, commands in log:
                one.slot(commands, ms)
                other.slot([bytes(bytearray(command)) for command in commands], ms)
                assert one.facts(self.questions) == other.facts(self.questions), "equal logs gave two states"
            assert one.results == other.results, "equal logs gave different results"

    def test_how_commands_are_batched_makes_no_difference(self) -> None:
        """Law 2."""
        for log in self.logs():
            at_once, one_by_one = self._fed(), self._fed()
            for ms, commands in log:
                at_once.slot(commands, ms)
                one_by_one.slot([], ms)
                for command in commands:
                    one_by_one.slot([command])
                assert at_once.facts(self.questions) == one_by_one.facts(self.questions), "one by one is not at once"
            assert at_once.results == one_by_one.results, "one by one gives other results than at once"

    def test_to_look_changes_nothing(self) -> None:
        """Law 3. What a question changed may show only later."""
        for log in self.logs():
            looked_at, other = self._fed(), self._fed()
            for ms, commands in log:
                looked_at.slot(commands, ms)
                other.slot(commands, ms)
                before = looked_at.machine.digest(), looked_at.machine.changed_rows
                looked_at.facts([*self.questions, b"", *self.commands])
                after = looked_at.machine.digest(), looked_at.machine.changed_rows
                assert before == after, "to look at a machine changed it"
            other.slot(self.commands)
            looked_at.slot(self.commands)
            assert looked_at.facts() == other.facts(), "a question changed the state"

    def test_a_restored_machine_goes_on_as_the_one_that_ran(self) -> None:
        """Law 4, restored after every slot, and in other logs after some."""
        for number, log in enumerate(self.logs()):
            lives, steady = self._fed(), self._fed()
            for place, (ms, commands) in enumerate(log):
                lives.slot(commands, ms)
                steady.slot(commands, ms)
                if number % 2 or place % 3 == 2:
                    lives.keep()
                    lives.live_again()
                assert lives.facts(self.questions) == steady.facts(self.questions), "a restored machine is another one"
            assert lives.results == steady.results, "a restored machine gives other results"

    def test_a_machine_that_is_written_now_and_then_is_restored_from_all_that_was_told(self) -> None:
        """Law 4, of a machine that lives on while its rows are written."""
        for log in self.logs():
            fed = self._fed()
            for ms, commands in log:
                fed.slot(commands, ms)
                fed.keep()
                restored = fed.make()
                restored.restore(sorted(fed.rows.items()))
                assert restored.digest() == fed.machine.digest(), "the rows that were told are not the state"
                assert restored.due_ms == fed.machine.due_ms, "what is due next is not in the rows"

    def test_what_was_told_is_not_told_again(self) -> None:
        """Law 4."""
        for log in self.logs():
            fed = self._fed()
            for ms, commands in log:
                fed.slot(commands, ms)
                fed.keep()
                assert fed.machine.changed_rows == 0, "all was told, and there are changed rows"
                assert fed.machine.changes() == ([], []), "what was told is told again"
            fed.live_again()
            assert fed.machine.changes() == ([], []), "what was restored is told again"

    def test_a_machine_without_rows_is_a_fresh_one(self) -> None:
        """Law 4, where nothing was written yet."""
        fed = self._fed()
        for ms, commands in next(self.logs()):
            fed.slot(commands, ms)
        fed.machine.restore([])
        assert fed.machine.digest() == self.make().digest(), "without rows it is not a fresh machine"

    def test_bytes_that_make_no_sense_are_no_exception(self) -> None:
        """Law 5: any other exception than `QueryRefused` fails here."""
        random = Random(0)
        fed = self._fed()
        fed.slot(self.commands)
        for _ in range(1000):
            fed.slot([self._nonsense(random)])
            fed.ask(self._nonsense(random))
        fed.keep()
        fed.live_again()

    def test_another_process_with_another_hash_seed_finds_the_same_state(self) -> None:
        """Law 1."""
        log = next(self.logs())
        fed = self._fed()
        for ms, commands in log:
            fed.slot(commands, ms)
        here = repr((fed.machine.digest(), fed.results))
        for seed in ("1", "2", "3"):
            assert self._in_another_process(log, seed) == here, "another process found another state"

    def _in_another_process(self, log: list[Slot], hash_seed: str) -> str:
        kind = type(self.make())
        module, name = self.dotted.split(":") if self.dotted else (kind.__module__, kind.__qualname__)
        program = (
            "import sys\nfrom paxosd.testing import FedMachine\n"
            f"from {module} import {name} as make\n"
            f"fed = FedMachine(make)\nfor ms, commands in {log!r}: fed.slot(commands, ms)\n"
            "sys.stdout.write(repr((fed.machine.digest(), fed.results)))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, env=environment)
        assert not done.returncode, f"another process cannot run this machine:\n{done.stderr}"
        return done.stdout
