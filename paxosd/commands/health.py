"""`paxosd health`: does the loop of a daemon turn? Runs often, so it imports only what is quick."""

from __future__ import annotations

from collections.abc import Sequence

from paxosd.commands.flags import command_parser, data_dir, fail
from paxosd.process.exits import Exit
from paxosd.server.health import complaint, notice

HELP = """\
Does the loop of a daemon turn?

examples:
  paxosd health --data-dir /var/lib/paxosd/r1      of the daemon that has its records there

This says nothing of the cluster: for that there is paxosctl status. That the disk is nearly full is told, and is well.
Exit codes: 0 ok, 2 usage, 5 not healthy (the reason is told: stopped, dead, starting, standing still).
"""


def main(arguments: Sequence[str]) -> int:
    """Say whether the loop of a daemon turns; returns the exit code."""
    parser = command_parser("health", HELP)
    parser.add_argument(
        "--data-dir", required=True, metavar="DIR", type=data_dir, help="where the daemon keeps its records"
    )
    directory = parser.parse_args(arguments).data_dir
    found = complaint(directory)
    if found is not None:
        return fail(Exit.UNHEALTHY, found)
    told = notice(directory)
    if told is not None:
        print(told)
    return Exit.OK
