"""`paxosctl lease grant | keep | revoke | show | list`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from paxosd.commands.ctl.numbers import a_lease_time, a_number
from paxosd.commands.ctl.verbs import AddVerb, Options, as_bytes, ask, change, named, print_json, usage
from paxosd.commands.tables import print_table
from paxosd.excerpts import shown
from paxosd.process.exits import Exit

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.machine.kv.results import LeaseFound

HELP = """\
Leases: keys that were put with one go when it runs out or is revoked.

examples:
  paxosctl lease grant 30                             for 30 seconds; prints its id
  paxosctl put here me --lease 1041
  paxosctl lease keep 1041                            until Ctrl-C; --once: one more time only
  paxosctl lease show 1041                            how long still, and which keys it has
  paxosctl lease list
  paxosctl lease revoke 1041

A lease that is granted here runs out by itself unless somebody keeps it. Exit codes beside those of all commands: 1
there is no such lease, or it ran out.
"""

KEPT_OF_TTL = 3
"""A lease is kept so many times within its time."""


def add_to(add: AddVerb) -> None:
    """Add the verb to the command line."""
    lease = add("lease", "a time to live for keys", HELP)
    lease.add_argument("what", choices=["grant", "keep", "revoke", "show", "list"], help="see the examples")
    lease.add_argument("number", metavar="SECONDS | ID", nargs="?", help="of grant the time, else the id")
    lease.add_argument("--once", action="store_true", help="with keep: one more time only")
    lease.add_argument("--name", metavar="TEXT", default="", help="with grant: for people who read lists")
    lease.set_defaults(run=_run, changes=lambda options: options.what in ("grant", "revoke"))


def _run(client: Client, options: Options) -> int:
    try:
        return _run_one(client, options)
    except argparse.ArgumentTypeError as error:
        return usage(f"lease {options.what}: {error}")


def _run_one(client: Client, options: Options) -> int:
    if (options.what == "list") != (options.number is None):
        return usage(f"lease {options.what} takes {'nothing else' if options.what == 'list' else 'one number'}")
    if options.what == "grant":
        return _grant(client, options, a_lease_time(options.number))
    if options.what == "list":
        return _list(client, options)
    lease = a_number(1)(options.number)
    return {"keep": _keep, "revoke": _revoke, "show": _show}[options.what](client, options, lease)


def _grant(client: Client, options: Options, ttl_s: float) -> int:
    from paxosd.machine.kv.requests import Grant  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import Granted  # noqa: PLC0415 (slow to import)

    wanted = Grant(round(ttl_s * 1000), as_bytes(options.name))
    granted, _ = change(client, wanted, options.timeout)
    assert isinstance(granted, Granted)
    if options.write_out == "json":
        print_json({"lease": granted.lease, "ttl_ms": granted.ttl_ms})
    else:
        print(f"lease {granted.lease}, {granted.ttl_ms / 1000:g} s")
    return Exit.OK


def _keep(client: Client, options: Options, lease: int) -> int:
    import time  # noqa: PLC0415 (slow to import)

    from paxosd.machine.kv.requests import Keep  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import KeepDone  # noqa: PLC0415 (slow to import)

    while True:
        kept, _ = change(client, Keep((lease,)), options.timeout)
        assert isinstance(kept, KeepDone)
        (ttl_ms,) = kept.ttls_ms
        if options.write_out == "json":
            print_json({"lease": lease, "ttl_ms": ttl_ms})
        else:
            print(f"lease {lease} kept for {ttl_ms / 1000:g} s" if ttl_ms else f"lease {lease} is gone", flush=True)
        if not ttl_ms:
            return Exit.ERROR
        if options.once:
            return Exit.OK
        time.sleep(ttl_ms / 1000 / KEPT_OF_TTL)


def _revoke(client: Client, options: Options, lease: int) -> int:
    from paxosd.machine.kv.requests import Revoke  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import Revoked  # noqa: PLC0415 (slow to import)

    revoked, revision = change(client, Revoke(lease), options.timeout)
    assert isinstance(revoked, Revoked)
    if options.write_out == "json":
        print_json({"lease": lease, "deleted": revoked.keys, "revision": revision})
    else:
        print(f"lease {lease} revoked, {revoked.keys} keys deleted, revision {revision}")
    return Exit.OK


def _show(client: Client, options: Options, lease: int) -> int:
    from paxosd.machine.kv.requests import AskLease  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import LeaseFound  # noqa: PLC0415 (slow to import)

    found = ask(client, AskLease(lease), options.timeout)
    assert isinstance(found, LeaseFound)
    if options.write_out == "json":
        print_json({**_fields(found), "keys": [named("key", key) for key in found.keys], "more": found.more})
    else:
        print(f"lease {lease}, {found.ttl_ms / 1000:g} s, {found.left_ms / 1000:.1f} s left at most")
        for key in found.keys:
            print(shown(key))
    return Exit.OK


def _list(client: Client, options: Options) -> int:
    from paxosd.machine.kv.requests import AskLeases  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import LeasesFound  # noqa: PLC0415 (slow to import)

    leases: list[LeaseFound] = []
    more, start = True, 0
    while more:
        page = ask(client, AskLeases(start), options.timeout)
        assert isinstance(page, LeasesFound)
        leases += page.leases
        more = page.more
        start = leases[-1].lease + 1 if leases else 0
    if options.write_out == "json":
        for found in leases:
            print_json(_fields(found))
    else:
        rows = [(each.lease, each.ttl_ms / 1000, each.left_ms / 1000, shown(each.name)) for each in leases]
        cells = [(lease, f"{ttl:g} s", f"{left:.1f} s", name) for lease, ttl, left, name in rows]
        print_table(("LEASE", "TTL", "LEFT", "NAME"), cells, sys.stdout)
    return Exit.OK


def _fields(found: LeaseFound) -> dict[str, object]:
    return {"lease": found.lease, "ttl_ms": found.ttl_ms, "left_ms": found.left_ms, **named("name", found.name)}
