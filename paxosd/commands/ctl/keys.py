"""`paxosctl put | get | del | txn | compact`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paxosd.commands.ctl import transaction
from paxosd.commands.ctl.numbers import a_number, a_revision
from paxosd.commands.ctl.verbs import (
    AddVerb,
    Options,
    add_range,
    as_bytes,
    change,
    is_one_key,
    key_fields,
    print_json,
    print_keys,
    range_of,
    usage,
    write_raw,
)
from paxosd.process.exits import Exit
from paxosd.process.streams import tell

if TYPE_CHECKING:
    from paxosd.client import Client
    from paxosd.machine.kv.requests import Compare

PUT_HELP = """\
Set a key, and print the revision of that.

examples:
  paxosctl put flags/dark on
  paxosctl put motd - < motd.txt                      the value from stdin, every byte of it
  paxosctl put leader me --lease 1041                 gone with its lease (see `paxosctl lease`)
  paxosctl put leader me --if-absent                  only if there is no such key; code 1 if there is
  paxosctl put conf new --if-revision 1207            only if it was not changed since

Exit codes beside those of all commands: 1 the condition did not hold, and nothing was changed.
"""

GET_HELP = """\
Print a key, a range of keys, or all keys with a prefix, with all that was acknowledged to anybody before.

examples:
  paxosctl get flags/dark
  paxosctl get flags/dark --print-value-only
  paxosctl get --prefix flags/                        all keys that begin so; "" begins all
  paxosctl get a c                                    from a on, below c
  paxosctl get --prefix jobs/ --limit 10 --order descend
  paxosctl get --prefix "" --count-only
  paxosctl get conf --rev 1200                        as it was after that revision
  paxosctl get conf --stale                           what the gateway at hand has, without a quorum

Exit codes beside those of all commands: 1 there is no such key (of a range: none is no error).
"""

DEL_HELP = """\
Delete a key, a range of keys, or all keys with a prefix, and print how many they were.

examples:
  paxosctl del flags/dark
  paxosctl del --prefix flags/
  paxosctl del a c --prev-kv                          and print what they were
"""

COMPACT_HELP = """\
Let go of the history of keys before a revision: older ones can be read and watched no more.

examples:
  paxosctl compact 120000
"""


def add_to(add: AddVerb) -> None:
    """Add these verbs to the command line."""
    put = add("put", "set a key", PUT_HELP)
    put.add_argument("key", metavar="KEY", help="the key")
    put.add_argument("value", metavar="VALUE", help="the value, or - to read it from stdin")
    put.add_argument("--lease", metavar="ID", type=a_number(1), default=0, help="the lease with which it goes")
    put.add_argument("--prev-kv", action="store_true", help="print what it was before")
    condition = put.add_mutually_exclusive_group()
    condition.add_argument("--if-absent", action="store_true", help="only if there is no such key")
    condition.add_argument(
        "--if-revision", metavar="N", type=a_number(0), help="only if N changed it last (0: it is missing)"
    )
    put.set_defaults(run=_put, takes="value", changes=True)

    get = add("get", "print keys", GET_HELP)
    add_range(get)
    get.add_argument("--limit", metavar="N", type=a_number(0), default=0, help="at most so many keys")
    get.add_argument("--order", choices=["ascend", "descend"], default="ascend", help="from which end")
    get.add_argument(
        "--sort-by", choices=["key", "value", "version", "create", "mod"], default="key", help="(default: key)"
    )
    get.add_argument("--rev", metavar="N", type=a_number(0), default=0, help="as of this revision")
    get.add_argument("--keys-only", action="store_true", help="without the values")
    get.add_argument("--count-only", action="store_true", help="how many keys there are")
    get.add_argument("--print-value-only", action="store_true", help="each value as it is, and a newline")
    get.add_argument("--stale", action="store_true", help="what the node at hand has: needs no quorum")
    get.set_defaults(run=_get)

    delete = add("del", "delete keys", DEL_HELP)
    add_range(delete)
    delete.add_argument("--prev-kv", action="store_true", help="print what they were")
    delete.set_defaults(run=_delete, changes=True)

    txn = add("txn", "do some things if others hold, all or nothing", transaction.HELP)
    txn.set_defaults(run=_txn, takes="stdin", changes=True)

    compact = add("compact", "let go of the history of keys", COMPACT_HELP)
    compact.add_argument(
        "revision", metavar="REVISION", type=a_revision, help="the first one that is told from then on"
    )
    compact.set_defaults(run=_compact, changes=True)


def _put(client: Client, options: Options) -> int:
    from paxosd.client.errors import Conflict  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.requests import Put  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.results import PutDone  # noqa: PLC0415 (slow to import)

    key, value = as_bytes(options.key), options.given
    if not key:
        return usage("a key is not empty")
    request = Put(key, value, options.lease, options.prev_kv)
    condition = _condition(key, options)
    if condition is None:
        result, revision = change(client, request, options.timeout)
        assert isinstance(result, PutDone)
        previous = result.previous
    else:
        done = client.txn([condition], [request], timeout=options.timeout)
        if not done.succeeded:
            raise Conflict("not applied: the key is not as --if-absent or --if-revision demands; `paxosctl get` it")
        (first,) = done.results
        assert isinstance(first, PutDone)
        previous, revision = first.previous, done.revision
    if options.write_out == "json":
        before = {"previous": key_fields(previous) if previous else None} if options.prev_kv else {}
        print_json({"revision": revision, **before})
    else:
        print(f"revision {revision}")
        if options.prev_kv and previous is not None:
            print_keys([previous])
    return Exit.OK


def _condition(key: bytes, options: Options) -> Compare | None:
    from paxosd.machine.kv.requests import Compare, CompareOp, CompareTarget  # noqa: PLC0415 (slow to import)

    if options.if_absent:
        return Compare(key, CompareTarget.VERSION, CompareOp.EQUAL, 0)
    if options.if_revision is not None:
        return Compare(key, CompareTarget.MOD, CompareOp.EQUAL, options.if_revision)
    return None


def _get(client: Client, options: Options) -> int:
    from paxosd.client.reads import LINEARIZABLE, LOCAL  # noqa: PLC0415 (slow to import)
    from paxosd.machine.kv.requests import Sort  # noqa: PLC0415 (slow to import)

    try:
        key, end = range_of(options)
    except ValueError as error:
        return usage(error)
    found = client.get_range(
        key,
        end,
        revision=options.rev,
        limit=options.limit,
        descending=options.order == "descend",
        sort=Sort[options.sort_by.upper()],
        keys_only=options.keys_only,
        count_only=options.count_only,
        read=LOCAL if options.stale else LINEARIZABLE,
        timeout=options.timeout,
    )
    if options.write_out == "json":
        keys = [key_fields(kv) for kv in found.items]
        print_json({"revision": found.revision, "count": found.count, "more": found.more, "keys": keys})
    elif options.count_only:
        print(found.count)
    elif options.print_value_only:
        for kv in found.items:
            write_raw(kv.value)
    elif found.items or not is_one_key(options):
        print_keys(found.items)
    if found.more and not options.limit:
        tell("paxosctl", f"there are {found.count} keys, more than one answer holds: go on from the last one")
    if is_one_key(options) and not found.count:
        tell("paxosctl", "there is no such key")
        return Exit.ERROR
    return Exit.OK


def _delete(client: Client, options: Options) -> int:
    try:
        key, end = range_of(options)
    except ValueError as error:
        return usage(error)
    done = client.delete(key, end, previous=options.prev_kv, timeout=options.timeout)
    if options.write_out == "json":
        before = {"previous": [key_fields(kv) for kv in done.previous]} if options.prev_kv else {}
        print_json({"revision": done.revision, "deleted": done.deleted, **before})
    else:
        print(f"{done.deleted} deleted, revision {done.revision}")
        if options.prev_kv:
            print_keys(done.previous)
    return Exit.OK


def _compact(client: Client, options: Options) -> int:
    client.compact(options.revision, timeout=options.timeout)
    if options.write_out == "json":
        print_json({"first_revision": options.revision})
    else:
        print(f"the history of keys begins at revision {options.revision}")
    return Exit.OK


def _txn(client: Client, options: Options) -> int:
    try:
        asked = transaction.parse(options.given)
    except ValueError as error:
        return usage(error)
    done = client.txn(*asked, timeout=options.timeout)
    if options.write_out == "json":
        results = [_op_fields(result) for result in done.results]
        print_json({"revision": done.revision, "succeeded": done.succeeded, "results": results})
    else:
        print(f"{'SUCCESS' if done.succeeded else 'FAILURE'}, revision {done.revision}")
        for result in done.results:
            _print_op(result)
    return Exit.OK


def _op_fields(result: object) -> dict[str, object]:
    from paxosd.machine.kv.results import Deleted, RangeFound  # noqa: PLC0415 (slow to import)

    if isinstance(result, RangeFound):
        return {"get": [key_fields(kv) for kv in result.items], "count": result.count}
    return {"del": result.count} if isinstance(result, Deleted) else {"put": True}


def _print_op(result: object) -> None:
    from paxosd.machine.kv.results import Deleted, RangeFound  # noqa: PLC0415 (slow to import)

    if isinstance(result, RangeFound):
        print_keys(result.items)
    else:
        print(f"{result.count} deleted" if isinstance(result, Deleted) else "OK")
