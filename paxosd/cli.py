"""`paxosd`: the daemon and what belongs to it. Arguments and exit codes only; the work is elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from paxosd.exits import Exit
from paxosd.flags import add_version, data_dir

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


CHECK_CONFIG_HELP = """\
Find all errors of a membership file at once.

examples:
  paxosd check-config config/cluster.yaml      each error with its line; or that it is ok, and the digest of its meaning

Every node must show the same digest: compare it where nodes do not hear each other. Exit codes: 0 ok, 2 usage,
7 configuration.
"""

HEALTH_HELP = """\
Does the loop of a daemon turn?

examples:
  paxosd health --data-dir /var/lib/paxosd/r1      of the daemon that has its records there

This says nothing of the cluster: for that there is paxosctl status. Exit codes: 0 ok, 2 usage, 5 not healthy.
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
    try:
        if not arguments or arguments[0].startswith("-"):
            return _run(arguments)
        command = commands.get(arguments[0])
        return _unknown(arguments[0], list(commands)) if command is None else command(arguments[1:])
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _unknown(written: str, commands: list[str]) -> int:
    from paxosd.config_values import meant

    near = meant(written, commands)
    advice = f"did you mean {near!r}?" if near else f"there are {', '.join(commands)} (see paxosd --help)"
    return _fail(Exit.USAGE, f"there is no command {written!r}; {advice}")


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="paxosd",
        usage="paxosd --role ROLE --id ID --config FILE [--data-dir DIR]\n"
        "       paxosd check-config | local | sim | health",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    roles = ["proposer", "acceptor", "learner", "replica"]
    parser.add_argument("--role", required=True, choices=roles, help="what the membership file says that the node is")
    parser.add_argument("--id", required=True, help="the node's id in the membership file")
    parser.add_argument("--config", required=True, metavar="FILE", help="the membership file, the same on every node")
    records = "where this node keeps its records (default: storage.dir/ID)"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=records)
    chosen = parser.parse_args(arguments)
    from paxosd.config import ConfigError
    from paxosd.core.agent import InvariantBroken
    from paxosd.daemon import configure, configure_logging, data_directory, run_daemon
    from paxosd.storage.base import StorageError
    from paxosd.transport.base import TransportError

    try:
        configure_logging(chosen.id)
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
    parser = _parser("check-config", CHECK_CONFIG_HELP)
    parser.add_argument("file", metavar="FILE", help="the membership file")
    from paxosd.config import ConfigError, load

    try:
        config = load(parser.parse_args(arguments).file)
    except ConfigError as error:  # each with its place first, as editors look for it
        print(*error.problems, f"{error.count}.", sep="\n", file=sys.stderr)
        return Exit.CONFIGURATION
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    roles = [role.value for role in config.membership.roles.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{config.path}: ok; cluster {config.cluster}, {counted}, digest {config.digest.hex()}")
    return Exit.OK


def _health(arguments: Sequence[str]) -> int:
    parser = _parser("health", HEALTH_HELP)
    parser.add_argument(
        "--data-dir", required=True, metavar="DIR", type=data_dir, help="where the daemon keeps its records"
    )
    from paxosd.health import complaint

    found = complaint(parser.parse_args(arguments).data_dir)
    return Exit.OK if found is None else _fail(Exit.UNHEALTHY, found)


def _local(arguments: Sequence[str]) -> int:
    from paxosd.interruptible import Ending, run

    def work(ending: Ending) -> int:
        from paxosd.local_cli import main as local_main

        return local_main(arguments, ending)

    def clean_up() -> None:
        from paxosd.local import close_all

        close_all()

    try:
        return run(work, clean_up)
    except (OSError, RuntimeError) as error:
        return _fail(Exit.ERROR, f"{error}; raise the limits of processes and open files (ulimit -u, ulimit -n)")


def _sim(arguments: Sequence[str]) -> int:
    from paxosd.sim_cli import main as sim_main

    return sim_main(arguments)


def _parser(command: str, told: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"paxosd {command}", description=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _fail(code: Exit, reason: object) -> int:
    print(f"paxosd: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
