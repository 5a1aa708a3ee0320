"""A cron that runs once in a fleet: start it on every machine, and each job runs on one of them at a time.

    python examples/fleet_cron.py --config config/loopback.yaml --every 60 --name nightly -- ./backup.sh

One of all that are started leads, and it alone runs the job. When it dies or is cut off, another one goes on, and does
not repeat what was run already: when the job was begun last is a key, written under the fence of who leads.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time

from paxosd import Client, HoldLost, PaxosError
from paxosd.client.threads.meetings import HeldLead
from paxosd.kv import Put, compare


def main() -> int:
    """Run the job now and then as long as this process leads; returns the exit code."""
    options = _options()
    me = f"{socket.gethostname()} {os.getpid()}"
    with Client.from_config(options.config) as client:
        while True:
            print(f"{me}: waits for its turn", flush=True)
            try:
                with client.election(f"cron/{options.name}", ttl=options.ttl).campaign(me) as lead:
                    print(f"{me}: leads, fence {lead.fence}", flush=True)
                    if run_while_leading(client, lead, options):
                        return 0
            except HoldLost as error:
                print(f"{me}: {error}", flush=True)
            except PaxosError as error:
                print(f"{me}: {error}", file=sys.stderr, flush=True)
                time.sleep(1)


def run_while_leading(client: Client, lead: HeldLead, options: argparse.Namespace) -> bool:
    """Run the job whenever it is due; True: it was run as often as was asked. Raises `HoldLost` or `PaxosError`."""
    begun = f"cron/{options.name}/begun"
    while True:
        found = client.get(begun)
        count, last = (int(part) for part in found.value.split()) if found else (0, 0)
        if options.runs and count >= options.runs:
            return True
        if lead.lost.wait(max(0.0, last + options.every - time.time())):
            lead.require()
        note = b"%d %d" % (count + 1, time.time())
        unchanged = compare(begun, "mod", "=", found.mod_revision if found else 0)
        still_ours = compare(lead.key, "create", "=", lead.fence)
        if client.txn([unchanged, still_ours], [Put(begun.encode(), note)]).succeeded:
            subprocess.run(options.job, env=os.environ | {"FENCE": str(lead.fence)}, check=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="the membership file")
    parser.add_argument("--name", required=True, help="the job")
    parser.add_argument("--every", type=float, default=60.0, help="how many seconds from one run to the next")
    parser.add_argument("--ttl", type=float, default=10.0, help="after how many seconds a dead leader is replaced")
    parser.add_argument("--runs", type=int, default=0, help="end after so many runs in all (default: never)")
    parser.add_argument("job", nargs="+", help="the command, behind --")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
