"""`paxosd health`: does the loop of a daemon turn? Runs often, so it imports only what is quick."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.commands.flags import command_parser, data_dir, fail
from paxosd.process.exits import Exit
from paxosd.server.health import complaint, notice, progress

HELP = """\
Does the loop of a daemon turn? Says so if it still catches up with the log.

examples:
  paxosd health --data-dir /var/lib/paxosd/r1      of the daemon that has its records there
  paxosd health --ready --data-dir DIR             and does it serve, or still catch up?

This says nothing of the cluster: for that there is paxosctl status. That the disk is nearly full is told, and is well.
Exit codes: 0 ok, 2 usage, 5 not healthy (the reason is told: stopped, dead, starting, standing still; with --ready
also catching up).
"""


def main(arguments: Sequence[str]) -> int:
    """Say whether the loop of a daemon turns; returns the exit code."""
    parser = command_parser("health", HELP)
    parser.add_argument(
        "--data-dir", required=True, metavar="DIR", type=data_dir, help="where the daemon keeps its records"
    )
    parser.add_argument("--ready", action="store_true", help="a node that still catches up is not healthy")
    options = parser.parse_args(arguments)
    found = complaint(options.data_dir)
    if found is not None:
        return fail(Exit.UNHEALTHY, found)
    far = progress(options.data_dir)
    if far and options.ready:
        return fail(Exit.UNHEALTHY, f"the daemon runs and catches up with the log: {far}; it serves when it has")
    told = notice(options.data_dir)
    if told is not None:
        print(told)
    if far:
        print(f"the daemon runs and catches up with the log: {far}")
    return Exit.OK
