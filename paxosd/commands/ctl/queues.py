"""`paxosctl queue put | get | size | work`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from paxosd.commands.ctl.numbers import a_name, a_number, a_wait
from paxosd.commands.ctl.verbs import AddVerb, Options, as_bytes, named, print_json, usage, write_raw
from paxosd.process.exits import Exit
from paxosd.process.streams import tell

PRIORITY_MAX = 0xFFFF_FFFF

if TYPE_CHECKING:
    from paxosd.client import Client

HELP = """\
A queue: the lowest priority number first, and of one number the first first.

examples:
  paxosctl queue put mail "to: you"
  paxosctl queue put mail - --priority 10 < letter    the value from stdin, every byte of it
  paxosctl queue get mail                             takes the first entry; waits for one
  paxosctl queue get mail --wait 0                    code 4 if there is none
  paxosctl queue work mail -- ./send.sh               the entry as stdin; it is gone when the command ends with 0
  paxosctl queue size mail

While a command works on an entry nobody else has it; it comes back if the command fails, or if this process dies.
"""


def add_to(add: AddVerb) -> None:
    """Add the verb to the command line."""
    queue = add("queue", "put and take entries", HELP)
    queue.add_argument("what", choices=["put", "get", "work", "size"], help="see the examples")
    queue.add_argument("name", metavar="NAME", type=a_name, help="the queue")
    queue.add_argument("value", metavar="VALUE", nargs="?", help="with put: the entry, or - to read it from stdin")
    queue.add_argument(
        "--priority", metavar="N", type=a_number(0, PRIORITY_MAX), default=100, help="with put (default: 100)"
    )
    queue.add_argument("--wait", metavar="S", type=a_wait, help="how long to wait for an entry (default: for ever)")
    queue.set_defaults(run=_run, in_order=True, takes="value")


def _run(client: Client, options: Options) -> int:
    if (options.what == "put") != (options.value is not None):
        return usage(f"queue {options.what} takes NAME{' VALUE' if options.what == 'put' else ''}")
    if (options.what == "work") != bool(options.behind):
        return usage("queue work NAME -- COMMAND, and no other one, takes a command")
    return {"put": _put, "get": _get, "work": _work, "size": _size}[options.what](client, options)


def _put(client: Client, options: Options) -> int:
    revision = client.locking_queue(as_bytes(options.name)).put(
        options.given, options.timeout, priority=options.priority
    )
    if options.write_out == "json":
        print_json({"revision": revision})
    else:
        print(f"revision {revision}")
    return Exit.OK


def _get(client: Client, options: Options) -> int:
    entry = client.locking_queue(as_bytes(options.name)).get(options.wait)
    if options.write_out == "json":
        print_json(named("value", entry.value))
    else:
        write_raw(entry.value)
    return Exit.OK


def _size(client: Client, options: Options) -> int:
    size = client.locking_queue(as_bytes(options.name)).size(options.timeout)
    if options.write_out == "json":
        print_json({"size": size})
    else:
        print(size)
    return Exit.OK


def _work(client: Client, options: Options) -> int:
    with client.locking_queue(as_bytes(options.name)).get_locked(options.wait) as entry:
        try:
            done = subprocess.run(
                options.behind, input=entry.value, env=os.environ | {"PAXOSCTL_FENCE": str(entry.fence)}, check=False
            )
        except OSError as error:
            tell("paxosctl", f"{options.behind[0]} could not be started: {error.strerror}")
            return Exit.ERROR
        if done.returncode == 0:
            entry.consume(options.timeout)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
