"""Workers that share an audit log, and go on where they stopped.

    python examples/audit_workers.py --config config/loopback.yaml --name billing
    paxosctl --config config/loopback.yaml propose '{"user": 7, "did": "login"}'

Everything that is proposed is in one log, in one order. Each kind of worker (`--name`) remembers in a key how far it
is. Only one worker of a name works at a time; when it dies, another one goes on right behind what it had noted, under a
higher fence: a worker that stood still cannot move the mark back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from paxosd import Client, Entry, HoldLost
from paxosd.client.threads.holds import Held
from paxosd.kv import Put, compare


def follow(client: Client, name: str, work: Callable[[Entry], bool]) -> None:
    """Do `work` for each entry behind the mark of this name, until it returns False.

    An entry whose work was done right before a crash is worked on again: make the work repeatable.
    """
    mark = f"audit/{name}/next"
    with client.lock(f"audit/{name}") as held:
        found = client.get(mark)
        start = int(found.value) if found else 1
        for entry in client.log(start=max(start, 1), follow=True):
            held.require()
            goes_on = work(entry)
            _note(client, held, mark, entry.revision + 1)
            if not goes_on:
                return


def _note(client: Client, held: Held, mark: str, following: int) -> None:
    """Move the mark, if the lock is still ours. Raises `HoldLost`."""
    ours = compare(held.key, "create", "=", held.fence)
    if not client.txn([ours], [Put(mark.encode(), b"%d" % following)]).succeeded:
        raise HoldLost(f"another worker goes on from {mark}")


def main() -> int:
    """Print entries as they come; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="the membership file")
    parser.add_argument("--name", default="printer", help="the kind of worker (default: printer)")
    parser.add_argument("--entries", type=int, default=0, help="end after so many entries (default: never)")
    options = parser.parse_args()
    left = options.entries

    def show(entry: Entry) -> bool:
        nonlocal left
        print(entry.revision, entry.value.decode(errors="backslashreplace"), flush=True)
        left -= 1
        return bool(left)

    with Client.from_config(options.config) as client:
        follow(client, options.name, show)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
