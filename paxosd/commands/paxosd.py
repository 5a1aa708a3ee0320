"""`paxosd`: which command is meant, and what signals do to it. Each command has a file of its own.

All but the handlers of signals is imported by the functions that use it, after those stand.
"""

from __future__ import annotations

import sys

from paxosd.process import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `paxosd` with these arguments; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    stop = signals.Stop() if not arguments or arguments[0].startswith("-") else None
    if stop is None:
        signals.end_at_once()
    from paxosd.process import streams

    streams.prepare()
    if stop is None:
        signals.end_at_once_from_a_thread()
        return streams.run("paxosd", lambda: _command(*arguments))
    stop.watch()
    stop.exit(streams.run("paxosd", lambda: _daemon(arguments, stop)))


def _daemon(arguments: Sequence[str], stop: signals.Stop) -> int:
    from paxosd.commands.daemon import main as daemon_main

    return daemon_main(arguments, stop)


def _command(name: str, *arguments: str) -> int:
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "check-config": _check_config,
        "health": _health,
        "local": _local,
        "rescue": _rescue,
        "restore": _restore,
        "sim": _sim,
        "upgrade": _upgrade,
    }
    command = commands.get(name)
    return _unknown(name, list(commands)) if command is None else command(arguments)


def _unknown(written: str, commands: list[str]) -> int:
    from paxosd.commands.flags import fail
    from paxosd.config.values import meant
    from paxosd.process.exits import Exit

    near = meant(written, commands)
    advice = f"did you mean {near!r}?" if near else f"there are {', '.join(commands)} (see paxosd --help)"
    return fail(Exit.USAGE, f"there is no command {written!r}; {advice}")


def _check_config(arguments: Sequence[str]) -> int:
    from paxosd.commands.check_config import main as check_config_main

    return check_config_main(arguments)


def _health(arguments: Sequence[str]) -> int:
    from paxosd.commands.health import main as health_main

    return health_main(arguments)


def _rescue(arguments: Sequence[str]) -> int:
    from paxosd.commands.rescue import main as rescue_main

    return rescue_main(arguments)


def _restore(arguments: Sequence[str]) -> int:
    from paxosd.commands.restore import main as restore_main

    return restore_main(arguments)


def _local(arguments: Sequence[str]) -> int:
    from paxosd.commands.flags import fail
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
        return fail(Exit.ERROR, f"{error}; raise the limits of processes and open files (ulimit -u, ulimit -n)")


def _sim(arguments: Sequence[str]) -> int:
    from paxosd.commands.sim.cli import main as sim_main

    return _in_order(sim_main, arguments)


def _upgrade(arguments: Sequence[str]) -> int:
    from paxosd.commands.upgrade import main as upgrade_main

    return upgrade_main(arguments)


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


if __name__ == "__main__":
    sys.exit(main())
