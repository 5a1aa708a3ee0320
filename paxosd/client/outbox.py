"""The commands of a session in the order in which they were proposed: those that have numbers, then those that wait.

Laws:
1. A command gets its number when it is first sent. Numbers count 1, 2, 3 … in the order of the proposals.
2. What is sent again is sent from some number on, with all that follow.
3. No more is under way than the share that `pacing.py` gives; one command always may be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from paxosd.client.calls import Command
from paxosd.client.errors import PaxosError
from paxosd.client.outcomes import LateResults, Receipt
from paxosd.client.pacing import COMMAND_BYTES, Pacing
from paxosd.core.types import NO_SESSION, SessionId

WINDOW_COMMANDS_MAX = 16384
WINDOW_BYTES_MAX = 16 * 1024 * 1024


class Outbox:
    """Of one client; over all of its sessions."""

    def __init__(self, pacing: Pacing) -> None:
        self.session: SessionId = NO_SESSION
        """In which they have their numbers."""
        self.late = LateResults()
        self._pacing = pacing
        self._numbered: deque[Command] = deque()  # in order, the first without a result in front
        self._waiting: deque[Command] = deque()  # that were never sent, and have no numbers yet
        self._held_back = 0  # so many of these, from the first one on, found no room when they could have been sent
        self._bytes = 0
        self._offset = 0  # how many bytes were ever numbered, each command with what it costs besides
        self._next_seq = 1
        self._send_from = 1  # commands from this number on are to be sent

    def add(self, commands: Sequence[Command]) -> None:
        """These, behind all others."""
        self._waiting.extend(commands)
        self._bytes += sum([command.size for command in commands])

    @property
    def is_full(self) -> bool:
        return len(self) >= WINDOW_COMMANDS_MAX or self._bytes >= WINDOW_BYTES_MAX

    def __len__(self) -> int:
        return len(self._numbered) + len(self._waiting)

    def __iter__(self) -> Iterator[Command]:
        yield from self._numbered
        yield from self._waiting

    # ---- what is under way ----

    @property
    def first_seq(self) -> int:
        """The number of the first command without a result; the client has those of all below."""
        return self._numbered[0].seq if self._numbered else self._next_seq

    @property
    def next_seq(self) -> int:
        """The number that the next command gets."""
        return self._next_seq

    @property
    def has_numbers(self) -> bool:
        """Whether any command without a result has one."""
        return bool(self._numbered)

    @property
    def was_sent(self) -> bool:
        """Whether a command without a result was sent, and is not to be sent again."""
        return bool(self._numbered) and self._send_from > self._numbered[0].seq

    @property
    def is_accounted_for(self) -> bool:
        """Whether every sending of every command was refused by name."""
        return not any(command.unaccounted for command in self._numbered)

    # ---- what is to be sent ----

    @property
    def waits(self) -> bool:
        """Whether any command waits for its number."""
        while self._waiting and self._waiting[0].done:
            self._bytes -= len(self._waiting.popleft().value or b"")
        return bool(self._waiting)

    @property
    def has_to_send(self) -> bool:
        """Whether there are commands that the share has room for."""
        waits = self.waits
        if self._numbered and self._send_from < self._next_seq:
            command = self._numbered[max(0, self._send_from - self._numbered[0].seq)]
            return self._has_share(command.offset, command)
        return waits and self._has_share(self._offset, self._waiting[0])

    def _has_share(self, offset: int, command: Command) -> bool:
        """Whether so much may be under way, up to this command."""
        before = offset - self._numbered[0].offset if self._numbered else 0
        return not before or before + command.size <= self._pacing.share_bytes

    def send_from(self, seq: int) -> None:
        """Send all from this number on again, if it is not to be done anyhow."""
        self._send_from = min(self._send_from, seq)

    def rewind(self) -> None:
        """Send all again that has no result."""
        self.send_from(self.first_seq)

    def sendable(self, fail_if_late: Callable[[Command], None]) -> list[Command]:
        """What may be sent now: again what has a number, then what waits, which gets its number here.

        `fail_if_late` is shown what has waited and is on no way: it may fail it.
        """
        first = self.first_seq
        self._send_from = max(self._send_from, first)
        again: list[Command] = []
        for command in islice(self._numbered, self._send_from - first, None):
            if not self._has_share(command.offset, command):
                return again
            if not command.unaccounted:
                fail_if_late(command)
            self._send_from = command.seq + 1
            again.append(command)
        return again + self._newly_numbered(fail_if_late)

    def _newly_numbered(self, fail_if_late: Callable[[Command], None]) -> list[Command]:
        waiting, numbered = self._waiting, self._numbered
        begin = numbered[0].offset if numbered else self._offset
        stop = begin + self._pacing.share_bytes
        seq, offset = self._next_seq, self._offset
        begun: list[Command] = []
        while waiting:
            command = waiting[0]
            if self._held_back:
                fail_if_late(command)
            if begin < offset > stop - command.size and not command.done:
                self._held_back = len(waiting)
                break
            waiting.popleft()
            if self._held_back:
                self._held_back -= 1
            if command.done or not command.begin():
                self._bytes -= len(command.value or b"")  # it was taken back
                continue
            command.seq, command.offset = seq, offset
            seq += 1
            offset += command.size + COMMAND_BYTES
            numbered.append(command)
            begun.append(command)
        self._next_seq = self._send_from = seq
        self._offset = offset
        return begun

    # ---- what becomes of it ----

    def numbered(self, first_seq: int, count: int) -> tuple[list[Command], range]:
        """Those of so many numbers that have no result, and their places among them."""
        first = self.first_seq
        begin = max(first, first_seq)
        end = min(first + len(self._numbered), first_seq + count)
        if end <= begin:
            return [], range(0)
        found = list(islice(self._numbered, begin - first, end - first))
        return found, range(begin - first_seq, end - first_seq)

    def note_late(self, command: Command, receipt: Receipt) -> None:
        """The log has its number, and its caller was told something else before: maybe by which name to ask for it."""
        if command.error is not None and command.error.seq:
            self.late.note(self.session, command.seq, receipt)

    def take_settled(self, now: float) -> None:
        """Let go of those in front that the log has."""
        if not self._numbered:
            return
        begin, last = self._numbered[0].offset, None
        while self._numbered and self._numbered[0].settled:
            last = self._numbered.popleft()
            if last.value is not None:
                self._bytes -= last.size
        if last is not None:
            self._pacing.applied(last.offset + last.size + COMMAND_BYTES - begin, now - last.sent_at, now)

    def fail(self, command: Command, error: PaxosError) -> None:
        """Tell its caller, and by which name it may be asked for; if it has a number it goes on as a withdrawal."""
        if error.outcome == "unknown":
            error.session, error.seq = self.session, command.seq
        command.fail(error)
        if command.value is not None and not command.taken_back:
            self._bytes -= len(command.value)
            command.value = None

    def begin_anew(self, error: Callable[[], PaxosError]) -> None:
        """The session is over: what certainly did not happen in it waits for another one, what may have fails."""
        for command in self._numbered:
            if command.unaccounted:
                self.fail(command, error())
        self._waiting.extendleft(reversed([command for command in self._numbered if not command.done]))
        self._numbered.clear()
        self._next_seq, self._send_from, self._held_back = 1, 1, 0
