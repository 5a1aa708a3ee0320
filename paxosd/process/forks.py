"""How often this process was made by a fork: who keeps the number knows whether it came along in one.

A look at the number costs nothing; to ask the system for the id of the process would cost a call of it each time.
"""

from __future__ import annotations

import os

generation = 0
"""How many forks lie between the process that loaded this module and this one."""


def _count() -> None:
    global generation
    generation += 1


os.register_at_fork(after_in_child=_count)
