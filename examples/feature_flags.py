"""Feature flags with live reload: every process sees a change within a moment, and asks nobody to read a flag.

    python examples/feature_flags.py --config config/loopback.yaml
    paxosctl --config config/loopback.yaml put flags/dark-mode on

The flags are read once, and watched from that very revision on: no change is missed, whichever gateway dies meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import threading

from paxosd import Client, ClientClosed, Compacted, NoQuorum, ReadTimeout, Unavailable

PREFIX = "flags/"


class Flags:
    """The flags below `flags/`, as they are now. A flag that is missing is off."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._values: dict[str, bytes] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._follow, daemon=True).start()

    def is_on(self, name: str) -> bool:
        """Whether this flag is on; asks nobody."""
        return self._values.get(name) == b"on"

    def await_change(self, name: str, was_on: bool, timeout: float | None = None) -> bool:
        """Wait until the flag is otherwise; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_on(name) != was_on, timeout)

    def _follow(self) -> None:
        while True:
            try:
                state, watcher = self._client.get_and_watch(prefix=PREFIX)
                self._set({_name(kv.key): kv.value for kv in state.items})
                for changed in watcher:
                    values = dict(self._values)
                    for event in changed.events:
                        if event.kv is None:
                            values.pop(_name(event.key), None)
                        else:
                            values[_name(event.key)] = event.kv.value
                    self._set(values)
            except (Compacted, NoQuorum, ReadTimeout, Unavailable):
                continue  # away for longer than history is kept, or nobody answered in time: read all of it again
            except ClientClosed:
                return

    def _set(self, values: dict[str, bytes]) -> None:
        with self._changed:
            self._values = values
            self._changed.notify_all()


def _name(key: bytes) -> str:
    return key.decode()[len(PREFIX) :]


def main() -> None:
    """Print a flag whenever it changes, until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="the membership file")
    parser.add_argument("--flag", default="dark-mode", help="which flag to print (default: dark-mode)")
    parser.add_argument("--changes", type=int, default=0, help="end after so many changes (default: never)")
    options = parser.parse_args()
    with Client.from_config(options.config) as client:
        flags = Flags(client)
        seen, on = 0, False
        print(f"{options.flag} is off", flush=True)
        while not options.changes or seen < options.changes:
            if flags.await_change(options.flag, on):
                seen, on = seen + 1, not on
                print(f"{options.flag} is {'on' if on else 'off'}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
