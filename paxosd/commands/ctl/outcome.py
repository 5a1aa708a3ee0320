"""`paxosctl outcome`: what became of a command whose outcome was unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paxosd.client.arguments import SEQ_MAX
from paxosd.commands.ctl.numbers import a_number
from paxosd.commands.ctl.verbs import AddVerb, Options, named, print_json, usage
from paxosd.excerpts import shown
from paxosd.process.exits import Exit

if TYPE_CHECKING:
    from paxosd.client import Client, CommandOutcome

HELP = """\
Find out what became of a command whose outcome was unknown: the error told its session and its number.
What is not applied by then never will be, nor will earlier commands of that session that are not applied yet.

examples:
  paxosctl outcome 3f0a9c5e7d1b24688642d0c1b3a59f7e 12
  paxosctl outcome 3f0a9c5e7d1b24688642d0c1b3a59f7e 12 -w json

Exit codes: 0 applied, 1 not applied, 4 nobody can know (any more), or no answer in time.
"""


def add_to(add: AddVerb) -> None:
    """Add the verb."""
    parser = add("outcome", "what became of a command whose outcome was unknown", HELP)
    parser.add_argument("session", metavar="SESSION", help="the session that the error told, in hexadecimal digits")
    parser.add_argument("seq", metavar="N", type=a_number(1, SEQ_MAX), help="the number of the command in it")
    parser.set_defaults(run=_run, changes=False)


def _run(client: Client, options: Options) -> int:
    from paxosd.client import NoLongerKnown, WasApplied  # noqa: PLC0415 (slow to import)

    try:
        found = client.outcome(options.session, options.seq, timeout=options.timeout)
    except ValueError as error:
        return usage(error)
    if options.write_out == "json":
        print_json(_fields(found))
    else:
        print(_told(found))
    if isinstance(found, WasApplied):
        return Exit.OK
    return Exit.UNKNOWN if isinstance(found, NoLongerKnown) else Exit.ERROR


def _fields(found: CommandOutcome) -> dict[str, object]:
    from paxosd.client import NoLongerKnown, WasApplied  # noqa: PLC0415 (slow to import)

    fields: dict[str, object] = {"outcome": found.outcome}
    if isinstance(found, WasApplied):
        where = found.receipt
        fields |= {"revision": where.revision, "slot": where.slot, **named("result", where.result)}
    if isinstance(found, NoLongerKnown):
        fields["why"] = found.why
    return fields


def _told(found: CommandOutcome) -> str:
    from paxosd.client import NoLongerKnown, WasApplied  # noqa: PLC0415 (slow to import)

    if isinstance(found, NoLongerKnown):
        return f"unknown: {found.why}"
    if not isinstance(found, WasApplied):
        return "not applied, and it never will be"
    where = f"applied: revision {found.receipt.revision}, slot {found.receipt.slot}"
    return f"{where}; its machine said {shown(found.receipt.result)}" if found.receipt.result else where
