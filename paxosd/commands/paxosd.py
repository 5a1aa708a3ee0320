"""`paxosd`: the daemon and what belongs to it. Arguments and exit codes only; the work is elsewhere.

All but the handlers of signals is imported by the functions that use it, after those stand.
"""

from __future__ import annotations

import sys

from paxosd.process import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from paxosd.process.exits import Exit

HELP = """\
examples:
  paxosd --role acceptor --id a1 --config config/cluster.yaml      run one node of a cluster
  paxosd --role replica --id r1 --config config/replicas.yaml --data-dir /var/lib/paxosd/r1
  paxosd check-config config/cluster.yaml                          find all errors of a membership file
  paxosd local --requests 5000 --kill-leader                       a whole cluster on this machine, no network
  paxosd local --serve                                             the same, and clients may come
  paxosd sim --seeds 100                                           whole clusters in simulated time, with every fault
  paxosd health --data-dir /var/lib/paxosd/r1                      does the loop of that daemon turn?

exit codes: 0 ok, 1 other error, 2 usage, 3 the answer could not be written, 5 not healthy, 7 configuration,
8 storage, 9 network address, 10 broken invariant, 130 SIGINT, 143 SIGTERM. A daemon that is ended by SIGTERM, SIGINT or
SIGHUP exits 0; the second signal ends it at once.
Environment: PAXOSD_LOG_LEVEL (DEBUG, INFO, WARNING, ERROR), PAXOSD_STORAGE_ENGINE and _DIR, PAXOSD_TIMING_HEARTBEAT,
_ELECTION, _RETRY and _PING; they win over the membership file.
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

This says nothing of the cluster: for that there is paxosctl status. Exit codes: 0 ok, 2 usage, 5 not healthy (the
reason is told: stopped, dead, starting, standing still).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `paxosd` with these arguments; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    stop = signals.Stop() if not arguments or arguments[0].startswith("-") else None
    if stop is None:
        signals.end_at_once()
    from paxosd.process import streams

    streams.prepare()
    if stop is None:
        return streams.run("paxosd", lambda: _command(*arguments))
    stop.watch()
    stop.exit(streams.run("paxosd", lambda: _daemon(arguments, stop)))


def _command(name: str, *arguments: str) -> int:
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "check-config": _check_config,
        "health": _health,
        "local": _local,
        "sim": _sim,
    }
    command = commands.get(name)
    return _unknown(name, list(commands)) if command is None else command(arguments)


def _unknown(written: str, commands: list[str]) -> int:
    from paxosd.config.values import meant
    from paxosd.process.exits import Exit

    near = meant(written, commands)
    advice = f"did you mean {near!r}?" if near else f"there are {', '.join(commands)} (see paxosd --help)"
    return _fail(Exit.USAGE, f"there is no command {written!r}; {advice}")


def _daemon(arguments: Sequence[str], stop: signals.Stop) -> int:
    chosen = _daemon_parser().parse_args(arguments)
    from paxosd.config import ConfigError
    from paxosd.core.agent import InvariantBroken
    from paxosd.process.exits import Exit
    from paxosd.server.daemon import LOG_WAITS_S_MAX, configure, configure_logging, data_directory, run_daemon
    from paxosd.storage.base import StorageError
    from paxosd.transport.base import TransportError

    try:
        outlet = configure_logging(chosen.id, stop)
    except ConfigError as error:
        return _fail(Exit.CONFIGURATION, error)
    try:
        config = configure(chosen.config, chosen.id, chosen.role)
        run_daemon(config, chosen.id, data_directory(config, chosen.id, chosen.data_dir), stop)
    except ConfigError as error:
        return _fail(Exit.CONFIGURATION, error)
    except StorageError as error:
        return _fail(Exit.STORAGE, error)
    except TransportError as error:
        return _fail(Exit.NETWORK, error)
    except InvariantBroken as error:
        return _fail(Exit.BROKEN, f"broken invariant, stopped before anything was sent: {error}")
    finally:
        outlet.close(LOG_WAITS_S_MAX)
    return Exit.OK


def _daemon_parser() -> argparse.ArgumentParser:
    import argparse

    from paxosd.commands.flags import add_version, data_dir

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
    records = "where this node keeps its records (default: storage.dir/ID, beside the membership file)"
    parser.add_argument("--data-dir", metavar="DIR", type=data_dir, help=records)
    return parser


def _check_config(arguments: Sequence[str]) -> int:
    parser = _parser("check-config", CHECK_CONFIG_HELP)
    parser.add_argument("file", metavar="FILE", help="the membership file")
    import os

    from paxosd.config import ConfigError, load
    from paxosd.process.exits import Exit
    from paxosd.process.streams import complain

    try:
        config = load(parser.parse_args(arguments).file, os.environ)
    except ConfigError as error:  # each with its place first, as editors look for it
        complain("\n".join([*error.problems, f"{error.count}."]))
        return Exit.CONFIGURATION
    for warning in config.warnings:
        complain(f"warning: {warning}")
    roles = [role.value for role in config.membership.roles.values()]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
    print(f"{config.path}: ok; cluster {config.cluster}, {counted}, digest {config.digest.hex()}")
    return Exit.OK


def _health(arguments: Sequence[str]) -> int:
    from paxosd.commands.flags import data_dir
    from paxosd.process.exits import Exit

    parser = _parser("health", HEALTH_HELP)
    parser.add_argument(
        "--data-dir", required=True, metavar="DIR", type=data_dir, help="where the daemon keeps its records"
    )
    from paxosd.server.health import complaint

    found = complaint(parser.parse_args(arguments).data_dir)
    return Exit.OK if found is None else _fail(Exit.UNHEALTHY, found)


def _local(arguments: Sequence[str]) -> int:
    from paxosd.commands.interruptible import Ending, run
    from paxosd.process.exits import Exit
    from paxosd.process.streams import Unwritten

    def work(ending: Ending) -> int:
        from paxosd.commands.local import main as local_main

        return local_main(arguments, ending)

    def clean_up() -> None:
        from paxosd.local.cluster import close_all

        close_all()

    try:
        return run(work, clean_up)
    except Unwritten:
        raise
    except (OSError, RuntimeError) as error:
        return _fail(Exit.ERROR, f"{error}; raise the limits of processes and open files (ulimit -u, ulimit -n)")


def _sim(arguments: Sequence[str]) -> int:
    from paxosd.commands.sim.cli import main as sim_main

    return _in_order(sim_main, arguments)


def _in_order(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """For commands that start processes of their own, which have to be ended first."""
    from paxosd.process.exits import Exit

    try:
        signals.end_in_order()
        return command(arguments)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        signals.end_at_once()


def _parser(command: str, told: str) -> argparse.ArgumentParser:
    import argparse

    return argparse.ArgumentParser(
        prog=f"paxosd {command}", description=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _fail(code: Exit, reason: object) -> int:
    from paxosd.process.streams import tell

    tell("paxosd", reason)
    return code


if __name__ == "__main__":
    sys.exit(main())
