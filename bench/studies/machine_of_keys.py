"""What the machine of keys can do by itself, in one process: no log, no network, no disk.

    python -m bench.studies.machine_of_keys [--keys 1000000] [--json]

Times are of this process's own CPU, in which each load ran; the rows that a learner would write are made, too.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from random import Random

from bench.studies.cluster import show
from paxosd.machine.kv.encoding import encode_command, encode_question
from paxosd.machine.kv.kv import Kv
from paxosd.machine.kv.requests import Put, Range

VALUE = b"v" * 100
COMMANDS_AT_ONCE = 256
PUTS_PER_WRITING = 512
"""About as many as a learner applies under load before it writes rows."""


def rss_mib() -> int:
    """The memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def key(number: int) -> bytes:
    return b"key/%010d" % number


class Load:
    """Keys that are put and asked for, with the time that it took."""

    def __init__(self) -> None:
        self.kv = Kv()
        self.revision = 0

    def put(self, numbers: Iterable[int]) -> float:
        """How many a second."""
        left, spent_s, count = iter(numbers), 0.0, 0
        while commands := [encode_command(Put(key(number), VALUE)) for number in islice(left, COMMANDS_AT_ONCE)]:
            begin_s = time.process_time()
            self.kv.apply(self.revision + 1, commands, 0)
            if self.kv.changed_rows >= PUTS_PER_WRITING:
                self.kv.changes()
            spent_s += time.process_time() - begin_s
            self.revision += len(commands)
            count += len(commands)
        return count / spent_s

    def ask(self, questions: list[bytes]) -> float:
        """How many a second."""
        begin_s = time.process_time()
        for question in questions:
            self.kv.query(question, self.revision, 0)
        return len(questions) / (time.process_time() - begin_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count, random, rows = options.keys, Random(1), list[dict[str, object]]()
    order = list(range(count))
    random.shuffle(order)
    empty_mib = rss_mib()

    def measure(what: str, run: Callable[[], float]) -> None:
        rows.append({"what": what, "per_s": round(run()), "rss_mib": rss_mib() - empty_mib})

    load = Load()
    measure(f"put {count} new keys, at random", lambda: load.put(order))
    measure("put keys that are there, at random", lambda: load.put(random.choices(order, k=count // 2)))
    measure("put one key again and again", lambda: load.put([7] * (count // 4)))
    measure(f"put {count // 4} new keys, in order", lambda: Load().put(range(count // 4)))
    some = random.choices(order, k=100_000)
    measure("get", lambda: load.ask([encode_question(Range(key(number))) for number in some]))
    past = load.revision - 50_000
    measure(
        "get as it was 50,000 revisions ago",
        lambda: load.ask([encode_question(Range(key(number), revision=past)) for number in some]),
    )
    pages = [encode_question(Range(key(number), b"key0", limit=1000)) for number in some[:200]]
    measure("range of 1,000 keys", lambda: load.ask(pages))
    show("keys", rows, options.json)


if __name__ == "__main__":
    main()
