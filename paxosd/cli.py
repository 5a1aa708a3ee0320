"""`paxosd`: the daemon and what belongs to it. Arguments and exit codes only; the work is elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from paxosd.exits import Exit

HELP = """\
examples:
  paxosd --role acceptor --id a1 --config config/cluster.yaml      run one node of a cluster
  paxosd --role replica --id r1 --config config/replicas.yaml --data-dir /var/lib/paxosd/r1
  paxosd check-config config/cluster.yaml                          find all errors of a membership file
  paxosd local --requests 5000 --kill-leader                       a whole cluster on this machine, no network
  paxosd local --serve                                             the same, and clients may come
  paxosd sim --seeds 100                                           whole clusters in simulated time, with every fault
  paxosd health --data-dir /var/lib/paxosd/r1                      does the loop of that daemon turn?

exit codes: 0 ok, 1 other error, 2 usage, 5 not healthy, 7 configuration, 8 storage, 9 network address,
10 broken invariant, 130 interrupted. Environment: PAXOSD_LOG_LEVEL, PAXOSD_STORAGE_DIR, PAXOSD_TIMING_HEARTBEAT, ….
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `paxosd` with these arguments; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "check-config": _check_config,
        "health": _health,
        "local": _local,
        "sim": _sim,
    }
    command = commands.get(arguments[0]) if arguments else None
    try:
        return _run(arguments) if command is None else command(arguments[1:])
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="paxosd",
        usage="paxosd --role ROLE --id ID --config FILE [--data-dir DIR]\n"
        "       paxosd check-config | local | sim | health",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--role", required=True, choices=["proposer", "acceptor", "learner", "replica"])
    parser.add_argument("--id", required=True, help="the node's id in the membership file")
    parser.add_argument("--config", required=True, metavar="FILE", help="the membership file, the same on every node")
    parser.add_argument("--data-dir", metavar="DIR", help="where this node keeps its records (default: storage.dir/ID)")
    chosen = parser.parse_args(arguments)
    from paxosd.config import ConfigError
    from paxosd.core.agent import InvariantBroken
    from paxosd.daemon import configure, configure_logging, data_directory, run_daemon
    from paxosd.storage.base import StorageError
    from paxosd.transport.base import TransportError

    configure_logging(chosen.id)
    try:
        config = configure(chosen.config, chosen.id, chosen.role)
        run_daemon(config, chosen.id, data_directory(config, chosen.id, chosen.data_dir))
    except ConfigError as error:
        return _fail(Exit.CONFIGURATION, error)
    except StorageError as error:
        return _fail(Exit.STORAGE, error)
    except TransportError as error:
        return _fail(Exit.NETWORK, error)
    except InvariantBroken as error:
        return _fail(Exit.BROKEN, f"broken invariant, stopped before anything was sent: {error}")
    return Exit.OK


def _check_config(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="paxosd check-config", description="Find all errors of a membership file.")
    parser.add_argument("file")
    from paxosd.config import ConfigError, load

    try:
        config = load(parser.parse_args(arguments).file)
    except ConfigError as error:
        return _fail(Exit.CONFIGURATION, error)
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    roles = [role.value for role in config.membership.roles.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{config.path}: ok; cluster {config.cluster}, {counted}, digest {config.digest.hex()}")
    return Exit.OK


def _health(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="paxosd health", description="Does the loop of a daemon turn?")
    parser.add_argument("--data-dir", required=True, metavar="DIR", type=Path)
    from paxosd.health import complaint

    found = complaint(parser.parse_args(arguments).data_dir)
    return Exit.OK if found is None else _fail(Exit.UNHEALTHY, found)


def _local(arguments: Sequence[str]) -> int:
    from paxosd.local_cli import main as local_main

    return local_main(arguments)


def _sim(arguments: Sequence[str]) -> int:
    from paxosd.sim_cli import main as sim_main

    return sim_main(arguments)


def _fail(code: Exit, reason: object) -> int:
    print(f"paxosd: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
