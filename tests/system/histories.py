"""Clients that get, put and compare-and-set keys beside faults, and the history of what they were told.

A history is JSON, one action a line, in the order in which they happened, so that any checker of registers can read it:

    {"process": 3, "key": "k1", "type": "call", "op": "cas", "expected": 4, "value": 9}
    {"process": 3, "key": "k1", "type": "response", "op": "cas", "expected": 4, "value": 9, "succeeded": true}

`op` is get, put or cas. Values are whole numbers, each put once; 0: the key is missing. The response of a get has the
`value` that was found. A process does one thing after the other.

Laws:
1. What certainly did not happen is not in the history.
2. An operation of unknown outcome is asked for (`client.outcome`) and counts as that says, until then under way. Where
   nobody knows, its response stands at the end of the history, and of a cas without `succeeded`.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from paxosd import Client, NeverApplied, PaxosError, WasApplied
from paxosd.kv import Put, TxnDone, compare, decode_result
from tests.system.daemons import DaemonCluster

Action: TypeAlias = dict[str, Any]
KEYS_AT_ONCE = 3
KEY_S = 3.0
"""How long a key is used: the cost of judging grows faster than its history."""
PATIENT_S, HASTY_S = 5.0, 0.3


class Recorded:
    """The history of some clients of one cluster. They work from `start` to `stop`."""

    def __init__(self, cluster: DaemonCluster, seed: int, clients: int = 6) -> None:
        self.unknown = self.resolved = 0
        """How many outcomes were unknown, and how many of these `client.outcome` knew."""
        self._cluster = cluster
        self._actions: list[Action] = []
        self._late: list[Action] = []
        self._processes = itertools.count()
        self._values = itertools.count(1)
        self._stop = threading.Event()
        self._began = time.monotonic()
        seeds = [f"{seed} {number}" for number in range(clients)]
        self._threads = [threading.Thread(target=self._work, args=(random.Random(one),)) for one in seeds]
        self._errors: list[BaseException] = []

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Action]:
        """End the work; the history."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not self._errors, self._errors
        void = {id(action) for action in self._actions if action.pop("void", False)}
        return [action for action in self._actions if id(action) not in void] + self._late

    def _work(self, chance: random.Random) -> None:
        timeout = chance.choice([PATIENT_S, HASTY_S])
        try:
            with self._cluster.client(timeout=timeout) as client, self._cluster.client(timeout=60) as asker:
                process = next(self._processes)
                while not self._stop.is_set():
                    if not self._operate(client, asker, process, chance):
                        process = next(self._processes)
                    time.sleep(chance.uniform(0.0, 0.05))
        except BaseException as error:
            self._errors.append(error)

    def _operate(self, client: Client, asker: Client, process: int, chance: random.Random) -> bool:
        """One operation; whether its process can go on."""
        key = f"{int((time.monotonic() - self._began) / KEY_S)}-{chance.randrange(KEYS_AT_ONCE)}"
        about: Action = {"process": process, "key": key, "op": chance.choice(["get", "get", "put", "cas"])}
        if about["op"] == "get":
            return self._record(about, lambda: {"value": _number(client.get(key))}, asker)
        about["value"] = next(self._values)
        written = b"%d" % about["value"]
        if about["op"] == "put":
            return self._record(about, lambda: {"revision": client.put(key, written).revision}, asker)
        about["expected"] = _seen(client, key)
        holds = compare(key, "version", "=", 0)
        if about["expected"]:
            holds = compare(key, "value", "=", b"%d" % about["expected"])
        change = Put(key.encode(), written)
        return self._record(about, lambda: {"succeeded": client.txn([holds], [change]).succeeded}, asker)

    def _record(self, about: Action, operate: Callable[[], Action], asker: Client) -> bool:
        call = {**about, "type": "call"}
        self._actions.append(call)
        try:
            told = operate()
        except PaxosError as error:
            if error.outcome == "not_applied":
                call["void"] = True
                return True
            found = self._resolve(asker, error, call)
            if found is None:
                self._late.append({**about, "type": "response"})
                return False
            told = found
        if not call.get("void"):
            self._actions.append({**about, **told, "type": "response"})
        return True

    def _resolve(self, asker: Client, error: PaxosError, call: Action) -> Action | None:
        """What became of it; None: nobody knows."""
        self.unknown += 1
        if not error.seq:
            return None
        try:
            found = asker.outcome(error.session, error.seq)
        except PaxosError:
            return None
        if isinstance(found, NeverApplied):
            call["void"] = True
        elif not isinstance(found, WasApplied):
            return None
        self.resolved += 1
        result = decode_result(found.receipt.result) if isinstance(found, WasApplied) else None
        return {"succeeded": result.succeeded} if isinstance(result, TxnDone) else {}


def _number(found: Any) -> int:
    return 0 if found is None else int(found.value)


def _seen(client: Client, key: str) -> int:
    """What a cas shall expect: anything that may be there. This look is in no history."""
    try:
        return _number(client.get(key))
    except PaxosError:
        return 0


def lines(history: list[Action]) -> str:
    """As a file."""
    return "".join(json.dumps(action) + "\n" for action in history)
