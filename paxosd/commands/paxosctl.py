"""`paxosctl`: a cluster from a shell. Its command line is in `ctl/options.py`, what it prints in `ctl/answers.py`.

Laws:
1. Data goes to stdout, everything else to stderr. Nothing is sent if it is known that no answer can be printed.
2. Nothing waits longer than `--timeout`, except for stdin, and while the cluster is well for what comes later: `log
   --follow`, `watch`, a lock, a place, a lead or an entry. Of a value on stdin no more is read than the cluster takes.
3. An error says what became of the command and what to do next, and its exit code says which kind it is.

All but the handlers of signals is imported by the functions that use it, after those stand.
"""

from __future__ import annotations

import sys

from paxosd.process import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paxosd.client import Client
    from paxosd.commands.ctl.options import Options


def main() -> int:
    """Run `paxosctl` with the arguments of this process; returns the exit code."""
    signals.end_at_once()
    from paxosd.process import streams

    streams.prepare()
    signals.end_at_once_from_a_thread()
    return streams.run("paxosctl", lambda: command(sys.argv[1:], connect))


def command(arguments: Sequence[str], connected: Callable[[Options], Client]) -> int:
    """Do what these arguments ask for; returns the exit code. `connected` makes the client from the options."""
    from paxosd.backup.errors import BackupError
    from paxosd.client.errors import PaxosError
    from paxosd.commands.ctl.options import options_of
    from paxosd.process.exits import Exit
    from paxosd.process.streams import stdout_is_open, tell

    options = options_of(arguments)
    if not stdout_is_open():
        tell("paxosctl", "stdout is closed, so no answer could be printed: nothing was sent")
        return Exit.USAGE
    try:
        return _without_cluster(options) if options.local else _ask(options, connected)
    except BackupError as error:
        tell("paxosctl", error)
        return Exit.STORAGE
    except PaxosError as error:
        tell("paxosctl", error)
        return _exit_code(error)


def _without_cluster(options: Options) -> int:
    from pathlib import Path

    from paxosd.commands.ctl import completion
    from paxosd.commands.ctl.backup import show

    if options.command == "completion":
        return completion.show(options.shell, options.parser())
    return show(Path(options.file), options.write_out == "json")


def _ask(options: Options, connected: Callable[[Options], Client]) -> int:
    from paxosd.commands.ctl.answers import run
    from paxosd.process.exits import Exit
    from paxosd.process.streams import tell

    try:
        value = _value(options)
    except OSError as error:
        tell("paxosctl", f"the value could not be read from stdin: {error.strerror}; nothing was proposed")
        return Exit.USAGE
    if options.in_order:
        signals.end_in_order()
    try:
        with connected(options) as client:
            return run(client, options, value)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _exit_code(error: Exception) -> int:
    from paxosd.client.errors import (
        BeyondEnd,
        Compacted,
        ConfigurationError,
        Conflict,
        HoldLost,
        KeysRefused,
        NoSpace,
        OutOfResources,
        TooLarge,
        WrongCluster,
        WrongHistory,
    )
    from paxosd.process.exits import Exit

    if isinstance(error, ConfigurationError | WrongCluster):
        return Exit.CONFIGURATION
    if isinstance(error, NoSpace):
        return Exit.NO_SPACE
    if isinstance(error, WrongHistory):
        return Exit.HISTORY
    refused = TooLarge | OutOfResources | Compacted | BeyondEnd | Conflict | HoldLost | KeysRefused
    return Exit.ERROR if isinstance(error, refused) else Exit.UNKNOWN


def _value(options: Options) -> bytes | None:
    """What shall be proposed, read before anything is connected; None for other commands."""
    import os

    if options.command != "propose":
        return None
    return _from_stdin(_bytes_max(options)) if options.value == "-" else os.fsencode(options.value)


def _from_stdin(bytes_max: int) -> bytes:
    """All that stdin holds; what has no end is read until it is known to be too much."""
    from paxosd.client.verdicts import too_large

    value = sys.stdin.buffer.read(bytes_max + 1)
    if len(value) > bytes_max:
        raise too_large(len(value), bytes_max, or_more=True)
    return value


def _bytes_max(options: Options) -> int:
    """The largest command that the cluster takes, as far as that is known before it is asked."""
    from paxosd.client.errors import ConfigurationError
    from paxosd.config import ConfigError, load
    from paxosd.core.options import COMMAND_BYTES_MAX

    try:
        return load(options.config).limits.command_bytes_max if options.config else COMMAND_BYTES_MAX
    except ConfigError as error:
        raise ConfigurationError(str(error)) from error


def connect(options: Options) -> Client:
    """A client of the cluster that the options name."""
    from paxosd.client import Client

    if options.config:
        return Client.from_config(options.config, timeout=options.timeout)
    endpoints = [endpoint.strip() for endpoint in options.endpoints.split(",") if endpoint.strip()]
    return Client(endpoints, timeout=options.timeout)


if __name__ == "__main__":
    sys.exit(main())
