"""What `from paxosd import …` offers, and what an error tells of the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

import paxosd
from paxosd import PaxosError
from paxosd.client import errors

OUTCOMES = {
    "BeyondEnd": "not_applied",
    "ClientClosed": "not_applied",
    "Compacted": "not_applied",
    "ConfigurationError": "not_applied",
    "Conflict": "not_applied",
    "HoldLost": "unknown",
    "KeysRefused": "not_applied",
    "NoQuorum": "not_applied",
    "NoSpace": "not_applied",
    "OutOfResources": "not_applied",
    "Overloaded": "not_applied",
    "PaxosError": "not_applied",
    "ProposeTimeout": "unknown",
    "QuestionRefused": "not_applied",
    "ReadTimeout": "not_applied",
    "ResultDropped": "applied",
    "SessionExpired": "unknown",
    "TooLarge": "not_applied",
    "Unavailable": "not_applied",
    "WaitTimeout": "not_applied",
    "Withdrawn": "not_applied",
    "WrongCluster": "not_applied",
    "WrongHistory": "not_applied",
}
"""Every error with the outcome that its class stands for."""


@pytest.mark.parametrize("name", paxosd.__all__)
def test_every_public_name_can_be_imported_and_is_listed(name: str) -> None:
    assert getattr(paxosd, name) is not None
    assert name in dir(paxosd)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        paxosd.__getattr__("Klient")


def test_all_errors_of_the_library_are_public_and_none_is_forgotten_here() -> None:
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, PaxosError)}

    assert defined == set(OUTCOMES)
    assert defined <= set(paxosd.__all__)


@pytest.mark.parametrize(("name", "outcome"), OUTCOMES.items())
def test_an_error_says_what_became_of_the_command_and_documents_it(name: str, outcome: str) -> None:
    kind = getattr(paxosd, name)
    error = kind("what happened")

    assert isinstance(error, PaxosError)
    assert error.outcome == outcome
    assert kind.__doc__


def test_a_timeout_can_be_caught_as_the_one_of_the_language() -> None:
    assert issubclass(paxosd.ProposeTimeout, TimeoutError)
    assert issubclass(paxosd.ReadTimeout, TimeoutError)


def test_importing_the_package_loads_no_messaging_library() -> None:
    check = "import sys, paxosd; dir(paxosd); sys.exit('zmq' in sys.modules or 'msgpack' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
