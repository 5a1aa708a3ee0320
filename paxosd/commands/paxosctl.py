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


_ON_ITS_WAY = b"paxosctl: ended while it was on its way: look at what is there before you do it again\n"


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
    from paxosd.commands.ctl.given import given
    from paxosd.process.exits import Exit
    from paxosd.process.streams import tell

    try:
        options.given = given(options)
    except OSError as error:
        tell("paxosctl", f"the value could not be read from stdin: {error.strerror}; nothing was sent")
        return Exit.USAGE
    if options.in_order:
        signals.end_in_order()
    try:
        with connected(options) as client:
            signals.last_words = _ON_ITS_WAY if options.changes else b""
            code: int = options.run(client, options)
            signals.last_words = b""
            return code
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


def connect(options: Options) -> Client:
    """A client of the cluster that the options name."""
    from paxosd.client import Client

    if options.config:
        return Client.from_config(options.config, timeout=options.timeout)
    endpoints = [endpoint.strip() for endpoint in options.endpoints.split(",") if endpoint.strip()]
    return Client(endpoints, timeout=options.timeout)


if __name__ == "__main__":
    sys.exit(main())
