"""What holds for all tests: failed assertions of what several files share are explained like those of a test file, and
a program that a test starts can be ended from its terminal.
"""

from __future__ import annotations

import signal

import pytest

pytest.register_assert_rewrite(
    "tests.core.helpers", "paxosd.testing.feeding", "paxosd.testing.machines", "tests.storage.contract"
)

# A shell has what it starts in the background ignore these, and so does `nohup`; every program that a test starts would
# ignore them, too, and never end.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
