"""`paxosctl lock | sem | elect`: hold something while a command runs, or until Ctrl-C.

Laws:
1. The command runs only while it is held. When it is lost, the command is ended before anybody can rely on what it does
   later: by SIGTERM, and 5 s later by SIGKILL. What the command writes elsewhere is kept apart by the fence.
2. However it ends, what was held is given back; if this process dies, it goes when its time has run out.
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from paxosd.commands.ctl.numbers import a_lease_time, a_name, a_number, a_wait
from paxosd.commands.ctl.verbs import AddVerb, Options, as_bytes, named, print_json
from paxosd.excerpts import shown
from paxosd.process.exits import Exit
from paxosd.process.streams import tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from paxosd.client import Client
    from paxosd.client.threads.holds import Held

ENDS_WITHIN_S = 5.0
"""How long a command has after SIGTERM."""

LOCK_HELP = """\
Hold a lock while a command runs; without one, until Ctrl-C. Whoever comes first has it first.

examples:
  paxosctl lock nightly -- ./backup.sh                waits for its turn, and ends with the command's exit code
  paxosctl lock nightly --wait 0 -- ./backup.sh       at once, or not at all: code 4
  paxosctl lock nightly                               prints its key and its fence, and holds it until Ctrl-C

The command finds PAXOSCTL_KEY and PAXOSCTL_FENCE in its environment. The fence grows with every holder: let what you
write to refuse a smaller one than it has seen. If the lock is lost the command is ended, and the code is 1.
"""

SEM_HELP = """\
Hold one of LIMIT places while a command runs; without one, until Ctrl-C. All must say the same LIMIT.

examples:
  paxosctl sem builds 3 -- make
  paxosctl sem builds 3 --wait 60 -- make             code 4 if there is none within a minute

As `paxosctl lock` otherwise.
"""

ELECT_HELP = """\
Lead while a command runs; without one, until Ctrl-C. With --listen: print who leads, and then whoever does later.

examples:
  paxosctl elect workers "$(hostname)" -- ./lead.sh   waits until it leads
  paxosctl elect workers --listen                     what leaders say of themselves, until Ctrl-C

As `paxosctl lock` otherwise.
"""


def add_to(add: AddVerb) -> None:
    """Add these verbs to the command line."""
    lock = add("lock", "hold a lock while a command runs", LOCK_HELP)
    lock.add_argument("name", metavar="NAME", type=a_name, help="the lock")
    _add_terms(lock)
    lock.set_defaults(run=_lock, in_order=True)

    sem = add("sem", "hold one of some places while a command runs", SEM_HELP)
    sem.add_argument("name", metavar="NAME", type=a_name, help="the semaphore")
    sem.add_argument("limit", metavar="LIMIT", type=a_number(1), help="how many may hold it at once")
    _add_terms(sem)
    sem.set_defaults(run=_sem, in_order=True)

    elect = add("elect", "lead while a command runs, or see who leads", ELECT_HELP)
    elect.add_argument("name", metavar="NAME", type=a_name, help="the election")
    elect.add_argument("value", metavar="VALUE", nargs="?", default="", help="what others read of who leads")
    elect.add_argument("-l", "--listen", action="store_true", help="print who leads, until Ctrl-C")
    _add_terms(elect)
    elect.set_defaults(run=_elect, in_order=True)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ttl", metavar="S", type=a_lease_time, default=None, help="how long it outlives its holder (10)"
    )
    parser.add_argument("--wait", metavar="S", type=a_wait, default=None, help="how long to wait (default: for ever)")


def _lock(client: Client, options: Options) -> int:
    return _hold(
        options, lambda: client.lock(as_bytes(options.name), value=_holder(), ttl=options.ttl).acquire(options.wait)
    )


def _sem(client: Client, options: Options) -> int:
    place = client.semaphore(as_bytes(options.name), options.limit, value=_holder(), ttl=options.ttl)
    return _hold(options, lambda: place.acquire(options.wait))


def _elect(client: Client, options: Options) -> int:
    election = client.election(as_bytes(options.name), ttl=options.ttl)
    if not options.listen:
        return _hold(options, lambda: election.campaign(os.fsencode(options.value), options.wait))
    for leading in election.observe():
        if options.write_out == "json":
            print_json({"leader": None} if leading is None else _leader_fields(leading.value, leading.create_revision))
        else:
            print("nobody leads" if leading is None else shown(leading.value), flush=True)
    return Exit.OK


def _leader_fields(value: bytes, fence: int) -> dict[str, object]:
    return {**named("leader", value), "fence": fence}


def _holder() -> str:
    """Who holds it, for people who read the key."""
    return f"{os.uname().nodename} {os.getpid()}"


def _hold(options: Options, take: Callable[[], Held]) -> int:
    try:
        held = take()
    except ValueError as error:  # others say another limit, say
        tell("paxosctl", error)
        return Exit.USAGE
    try:
        return _run(held, options) if options.behind else _stand(held, options)
    finally:
        if not held.release(options.timeout):
            tell("paxosctl", "it could not be given back, for nobody answers: it goes when its time has run out")


def _stand(held: Held, options: Options) -> int:
    if options.write_out == "json":
        print_json({**named("key", held.key), "fence": held.fence})
    else:
        print(f"{shown(held.key)}  fence {held.fence}", flush=True)
    held.lost.wait()
    return _lost()


def _lost() -> int:
    tell("paxosctl", "it was lost, and others may have it: the cluster did not answer in time, or its key was removed")
    return Exit.ERROR


def _run(held: Held, options: Options) -> int:
    """The exit code of the command; it is ended as soon as it is not held any more."""
    environment = {"PAXOSCTL_KEY": os.fsdecode(held.key), "PAXOSCTL_FENCE": str(held.fence)}
    try:
        command = subprocess.Popen(options.behind, env=os.environ | environment)
    except OSError as error:
        tell("paxosctl", f"{options.behind[0]} could not be started: {error.strerror}")
        return Exit.ERROR
    ended_by_us = threading.Event()

    def end_when_lost() -> None:
        if held.lost.wait():
            ended_by_us.set()
            _end(command)

    threading.Thread(target=end_when_lost, daemon=True).start()
    try:
        code = command.wait()
    except (KeyboardInterrupt, SystemExit):  # a signal: the command ends with us, and before the lock is given back
        _end(command)
        raise
    if ended_by_us.is_set():
        return _lost()
    return code if code >= 0 else 128 - code


def _end(command: subprocess.Popen[bytes]) -> None:
    command.terminate()
    with suppress(subprocess.TimeoutExpired):
        command.wait(ENDS_WITHIN_S)
        return
    command.kill()
    command.wait()
