"""45 to 47: barriers let through who may pass, double barriers all or none, and parties list who is there."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.core.types import Revision
from paxosd.machine.kv.records import KeyValue
from paxosd.recipes.barrier import MeetingRoom
from paxosd.recipes.steps import Span
from paxosd.sim.check.attempts import Attempt, Attempts
from paxosd.sim.check.invariants import ensure
from paxosd.sim.keys.model import Keys

BARRIER_LAW, MEETING_LAW, PARTY_LAW = "45 barriers", "46 double barriers", "47 parties"
MEETINGS = b"double-barrier/"


def listed(keys: Keys, span: Span) -> tuple[KeyValue, ...]:
    """The keys of a span, the oldest first."""
    found = [kv for key, kv in keys.items() if span.key <= key < span.end]
    return tuple(sorted(found, key=lambda kv: kv.create_revision))


# ---- barriers ----


def check_passed(attempts: Attempts, attempt: Attempt, key: bytes) -> None:
    """Somebody is let through."""
    at = attempt.looked_at(BARRIER_LAW)
    ensure(key not in _at(attempts, at), BARRIER_LAW, f"{attempt.client} is let through {key!r}, which stands at {at}")
    attempts.marks.hit("barrier passed by one who waited" if attempt.slept else "barrier passed")


def check_put_up(attempts: Attempts, attempt: Attempt, key: bytes, lease: int, told: bool) -> None:
    """Somebody is told whether it put a barrier up, or it stands already."""
    revision = attempt.did[-1]
    before, after = _at(attempts, revision - 1), _at(attempts, revision)
    ensure(told == (key not in before), BARRIER_LAW, f"{attempt.client} put {key!r} up as {revision}: {told}")
    stands = after.get(key)
    is_so = stands is not None and (not told or (stands.create_revision, stands.lease) == (revision, lease))
    ensure(is_so, BARRIER_LAW, f"{attempt.client} is told of {revision} that {key!r} stands, and it is {stands}")


# ---- double barriers ----


def check_entered(attempts: Attempts, attempt: Attempt, room: MeetingRoom, own: bytes, made: Revision) -> None:
    """Somebody is let in: it is open, and since it is, or before, so many were inside."""
    at = attempt.looked_at(MEETING_LAW) if attempt.slept else attempt.did[-1]
    keys = _at(attempts, at)
    opened, what = keys.get(room.opened), f"{attempt.client} is let into {room.opened!r} at {at}"
    ensure(opened is not None, MEETING_LAW, f"{what}, and that is not open")
    since = _at(attempts, attempt.looked_at(MEETING_LAW, before=1) if attempt.slept else at)
    ensure(own in since and since[own].create_revision == made, MEETING_LAW, f"{what}, and its own key is gone")
    assert opened is not None
    check_opening(attempts, room, opened)
    attempts.marks.hit("double barrier entered by one who waited" if attempt.slept else "double barrier entered")


def check_opening(attempts: Attempts, room: MeetingRoom, opened: KeyValue) -> None:
    """Whoever opened it was there then, and had made so many keys complete."""
    opener = _at(attempts, opened.mod_revision).get(opened.value)
    ensure(opener is not None, MEETING_LAW, f"{room.opened!r} was opened by {opened.value!r}, who was not there")
    assert opener is not None
    inside = listed(_at(attempts, opener.create_revision), room.inside)
    what = f"{room.opened!r} was opened for {room.size}, and inside were {inside}"
    ensure(len(inside) >= room.size, MEETING_LAW, what)


def check_left(attempts: Attempts, attempt: Attempt, room: MeetingRoom) -> None:
    """Somebody is let out: all are gone that were inside when it left."""
    ensure(bool(attempt.looks_before), MEETING_LAW, f"{attempt.client} is let out of {room.opened!r} without a look")
    left_at, looked_at = attempt.did[0], attempt.looks_before[-1]
    left = [kv for kv in listed(_at(attempts, looked_at), room.inside) if kv.create_revision <= left_at]
    ensure(
        not left, MEETING_LAW, f"{attempt.client} is let out of {room.opened!r} at {looked_at}, and inside are {left}"
    )
    attempts.marks.hit("double barrier left by one who waited" if attempt.slept else "double barrier left")


def check_rounds(attempts: Attempts) -> None:
    """At the end: no double barrier was closed while somebody was inside, or open for the first one who came in."""
    states = attempts.replay.keys.states
    for room in attempts.rooms:
        inside: tuple[KeyValue, ...] = ()
        for revision in range(1, len(states)):
            if states[revision] is not states[revision - 1]:
                was_inside, inside = inside, listed(states[revision], room.inside)
                was_open, is_open = (room.opened in states[at] for at in (revision - 1, revision))
                what = f"{room.opened!r} at {revision}: inside were {was_inside}, and now {inside}; open: {is_open}"
                ensure(is_open or not (was_open and was_inside), MEETING_LAW, what)
                ensure(was_inside != () or not (inside and is_open), MEETING_LAW, what)
                if was_open and not is_open and inside:
                    attempts.marks.hit("double barrier closed behind the dead")


# ---- parties, and who leads ----


def check_members(
    attempts: Attempts, attempt: Attempt, span: Span, told: Sequence[KeyValue], seen: Sequence[KeyValue] | None
) -> None:
    """Somebody is told who is there; `seen`: it waited until that were others."""
    at = attempt.looked_at(PARTY_LAW)
    present = listed(_at(attempts, at), span)
    what = f"{attempt.client} is told at {at} that {told} are there, and it were {present}"
    ensure(tuple(told) == present, PARTY_LAW, what)
    if seen is not None:
        ensure(
            tuple(told) != tuple(seen), PARTY_LAW, f"{attempt.client} is told of a change, and there is none: {told}"
        )
        attempts.marks.hit("party changed")


def check_leader(
    attempts: Attempts, attempt: Attempt, span: Span, told: KeyValue | None, seen: KeyValue | None, waited: bool
) -> None:
    """Somebody is told who leads; it `waited` until that was another one than `seen`, or said something else."""
    at = attempt.looked_at(PARTY_LAW)
    present = listed(_at(attempts, at), span)
    leads = present[0] if present else None
    ensure(told == leads, PARTY_LAW, f"{attempt.client} is told at {at} that {told} leads, not {leads}")
    if waited:
        ensure(told != seen, PARTY_LAW, f"{attempt.client} is told that another one leads, and it is {told} still")
        attempts.marks.hit("another leader seen")


def _at(attempts: Attempts, revision: Revision) -> Keys:
    if revision:
        attempts.replay.at(revision)
    return attempts.replay.keys.states[revision]
