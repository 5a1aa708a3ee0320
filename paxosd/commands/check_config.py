"""`paxosd check-config`: all errors of a membership file at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from paxosd.commands.flags import command_parser
from paxosd.config import ConfigError, load
from paxosd.process.exits import Exit
from paxosd.process.streams import complain
from paxosd.server.machines import machines_of

HELP = """\
Find all errors of a membership file at once.

examples:
  paxosd check-config config/cluster.yaml      each error with its line; or that it is ok, and the digest of its meaning

Every node must show the same digest: compare it where nodes do not hear each other. Exit codes: 0 ok, 2 usage,
7 configuration.
"""


def main(arguments: Sequence[str]) -> int:
    """Print all errors of a membership file, or that it is well; returns the exit code."""
    parser = command_parser("check-config", HELP)
    parser.add_argument("file", metavar="FILE", help="the membership file")
    try:
        config = load(parser.parse_args(arguments).file, os.environ)
        machines_of(config)
    except ConfigError as error:  # each with its place first, as editors look for it
        complain("\n".join([*error.problems, f"{error.count}."]))
        return Exit.CONFIGURATION
    for warning in config.warnings:
        complain(f"warning: {warning}")
    roles = [role.value for role in config.membership.roles.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{config.path}: ok; cluster {config.cluster}, {counted}, digest {config.digest.hex()}")
    return Exit.OK
