"""`paxosctl watch`: what happens to keys, as it happens; printed, or told to a command."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from paxosd.commands.ctl.numbers import a_number
from paxosd.commands.ctl.verbs import AddVerb, Options, add_range, key_fields, named, print_json, range_of, usage
from paxosd.excerpts import shown
from paxosd.process.exits import Exit

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.machine.kv.records import KeyEvent

HELP = """\
Print what happens to a key, a range of keys, or all keys with a prefix, from now on or from a revision on, until
Ctrl-C. Nothing is left out, doubled or out of order, also while leaders and gateways change.

examples:
  paxosctl watch flags/dark
  paxosctl watch --prefix flags/ -w json              one object a line
  paxosctl watch --prefix flags/ --rev 1200           all that happened from there on, as far as it is kept
  paxosctl watch conf -- systemctl reload mine        run a command for each event, one after the other

The command finds PAXOSCTL_WATCH_EVENT (PUT or DELETE), _KEY, _VALUE and _REVISION in its environment. Exit codes beside
those of all commands: 1 the history of keys does not go back to --rev (see `paxosctl compact`).
"""


def add_to(add: AddVerb) -> None:
    """Add the verb to the command line."""
    watch = add("watch", "print what happens to keys", HELP)
    add_range(watch)
    watch.add_argument(
        "--rev", metavar="N", type=a_number(0), default=0, help="from this revision on (default: from now on)"
    )
    watch.add_argument("--prev-kv", action="store_true", help="print what was there before, too")
    watch.add_argument("--count", metavar="N", type=a_number(0), default=0, help="end after so many events")
    watch.set_defaults(run=_watch)


def _watch(client: Client, options: Options) -> int:
    try:
        key, end = range_of(options)
    except ValueError as error:
        return usage(error)
    left = options.count
    with client.watch(key, end, start=options.rev, previous=options.prev_kv) as watcher:
        for changed in watcher:
            for event in changed.events:
                _tell(event, options)
                left -= 1
                if left == 0:
                    return Exit.OK
    return Exit.OK


def _tell(event: KeyEvent, options: Options) -> None:
    if options.behind:
        subprocess.run(options.behind, env=os.environ | _environment(event), check=False)
    elif options.write_out == "json":
        print_json(_fields(event, options.prev_kv))
    else:
        kind = "DELETE" if event.kv is None else "PUT"
        value = "" if event.kv is None else f"  {shown(event.kv.value)}"
        before = f"  (was {shown(event.previous.value)})" if options.prev_kv and event.previous else ""
        print(f"{event.revision:8}  {kind:6}  {shown(event.key)}{value}{before}", flush=True)


def _fields(event: KeyEvent, with_previous: bool) -> dict[str, object]:
    kind = "delete" if event.kv is None else "put"
    fields: dict[str, object] = {"revision": event.revision, "event": kind, **named("key", event.key)}
    if event.kv is not None:
        fields |= key_fields(event.kv)
    if with_previous:
        fields["previous"] = key_fields(event.previous) if event.previous else None
    return fields


def _environment(event: KeyEvent) -> dict[str, str]:
    value = b"" if event.kv is None else event.kv.value
    return {
        "PAXOSCTL_WATCH_EVENT": "DELETE" if event.kv is None else "PUT",
        "PAXOSCTL_WATCH_KEY": os.fsdecode(event.key.replace(b"\0", b"")),
        "PAXOSCTL_WATCH_VALUE": os.fsdecode(value.replace(b"\0", b"")),
        "PAXOSCTL_WATCH_REVISION": str(event.revision),
    }
