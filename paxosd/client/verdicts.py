"""What is said of a call that is given up: what became of it, why as far as a client can know, what to do next.

The outcome is decided by the session; here it only finds its words.
"""

from __future__ import annotations

from paxosd.client.errors import (
    BeyondEnd,
    Compacted,
    ConfigurationError,
    NoQuorum,
    NoSpace,
    OutOfResources,
    Overloaded,
    PaxosError,
    ProposeTimeout,
    QuestionRefused,
    ReadTimeout,
    ResultDropped,
    SessionExpired,
    TooLarge,
    Unavailable,
    Withdrawn,
)
from paxosd.client.gateways import Gateways
from paxosd.core.messages import Answer
from paxosd.core.reasons import Reason
from paxosd.core.types import MachineName, Revision
from paxosd.transport.shortage import thread_shortage

_NOBODY_LEADS = (
    "nobody leads the cluster, because too few acceptors, or no proposer, reach each other; `paxosctl status` names "
    "the nodes that are missing: bring them back"
)
_NO_SPACE = (
    "disks of the cluster are nearly full, so it takes no commands until there is room; `paxosctl status` names them: "
    "make room, or raise storage.quota there"
)
_DIFFERS = (
    "the state of the gateway that answered is not that of the other learners, so it serves nothing; its log says what "
    "to do: give this client the other gateways"
)
SESSION_GONE = (
    "the cluster does not know this session (any more): it forgets those unused for longest, and one that was wiped, "
    "or restored from a backup older than the session, never had it"
)
RESULT_GONE = "the client of this session went on since, and acknowledged the result, which is kept no more"
_READ_FIRST = "read the log before you propose it again"


def of_command(refusal: Reason | None, sent: bool, gateways: Gateways) -> PaxosError:
    """Its time is over. `refusal`: why it was refused last, None if nobody answers; `sent`: it may be applied."""
    if sent:
        return ProposeTimeout(
            "unknown: the command was sent and had no result in time, so it may have been applied, or not; "
            f"{_why_no_result(refusal, gateways)}; {_READ_FIRST}"
        )
    if refusal is None:
        return Unavailable(f"not applied: {_nobody_answers(gateways)}; then propose it again")
    if refusal is Reason.OVERLOADED:
        return overloaded()
    if refusal is Reason.NO_SPACE:
        return NoSpace(f"not applied: {_NO_SPACE}, and propose it again")
    if refusal is Reason.DIFFERS:
        return Unavailable(f"not applied: {_DIFFERS}, and propose it again")
    if refusal is Reason.FOREIGN:
        return Unavailable(f"not applied: {gateways.why}; then propose it again")
    if refusal is Reason.BEHIND:
        return Unavailable(f"not applied: {_behind(gateways)}; then propose it again")
    return NoQuorum(f"not applied: {_nobody_leads(gateways)}, and propose it again")


def overloaded() -> PaxosError:
    """A command that the cluster cannot serve in time."""
    return Overloaded(
        "not applied: the leader holds as many commands as it may (slower than its clients, or without a quorum), or "
        "too many sessions are asked for at once; propose it again later, or more slowly"
    )


def of_question(refusal: Reason | None, gateways: Gateways) -> PaxosError:
    """A read, or a question for the status, whose time is over."""
    if refusal in (None, Reason.NO_SPACE):  # no read is refused for want of space: it was a command
        return ReadTimeout(f"not answered in time: {_nobody_answers(gateways)}; then ask again")
    if refusal is Reason.OVERLOADED:
        return ReadTimeout(
            "not answered in time: the gateway holds as many reads of this client as it may; ask fewer at once"
        )
    if refusal is Reason.DIFFERS:
        return ReadTimeout(f"not answered: {_DIFFERS}, and ask again")
    if refusal is Reason.FOREIGN:
        return ReadTimeout(f"not answered: {gateways.why}; then ask again")
    if refusal is Reason.BEHIND:
        return ReadTimeout(f"not answered in time: {_behind(gateways)}; then ask again")
    return NoQuorum(
        f"not answered: {_nobody_leads(gateways)}, or read what one gateway has (linearizable=False, `paxosctl log "
        "--stale`)"
    )


def compacted(start: Revision, first: Revision) -> PaxosError:
    """A read below what is kept of the log."""
    return Compacted(
        f"not answered: the log is kept from revision {first} on, and {start} is below (`log` in the membership file "
        f"says how much is kept); read from {first} on",
        first,
    )


def beyond_end(start: Revision, last: Revision) -> PaxosError:
    """A read that starts after an entry that does not exist yet."""
    return BeyondEnd(
        f"not answered: the log ends at revision {last}, and {start} is beyond what comes next; read from {last + 1} "
        "on",
        last,
    )


def watch_compacted(start: Revision, first: Revision) -> PaxosError:
    """A watch of which something is told no more."""
    return Compacted(
        f"what happened is told from revision {first} on, and the watch stood at {start}, which is below: it began too "
        f"early, or was taken from too slowly; look at the keys, and watch them from revision {first} on, or later",
        first,
    )


def not_watchable(machine: str) -> PaxosError:
    """A watch of a machine that is not mounted, or that tells nothing."""
    return ConfigurationError(
        f"the cluster has no machine {machine!r} that can be watched (`machines` in the membership file); watch keys"
    )


def too_many_watches(most: int) -> PaxosError:
    """One more watch than a client may have."""
    return Overloaded(f"this client has {most} watches, which is the most; close some, or watch a range of keys")


def why_unread(refused: int) -> Reason:
    """The reason in a page; one that this version does not know counts as one to ask again later for."""
    return Reason(refused) if refused in Reason.__members__.values() else Reason.OVERLOADED


def too_large(size: int, limit: int, or_more: bool = False) -> PaxosError:
    """Both in bytes; `or_more`: nobody looked how many more."""
    has = f"{size} bytes or more" if or_more else f"{size} bytes"
    return TooLarge(
        f"not applied: the value has {has}, and the cluster takes {limit} (limits.command_bytes); propose a "
        "smaller one, or raise the limit in the membership file of all nodes"
    )


def unknown_machine(machine: MachineName) -> PaxosError:
    """No gateway takes commands for it."""
    return ConfigurationError(
        f"not applied: the cluster has no machine {machine!r}; `machines` in the membership file of all nodes says "
        "which there are"
    )


def result_dropped(revision: Revision) -> PaxosError:
    """Of a command that is applied."""
    return ResultDropped(
        f"applied at revision {revision}, and what the machine said of it was too much to be kept: ask for less at "
        "once, or wait for some results before more is asked for",
        revision,
    )


def query_refused(machine: MachineName, answer: Answer) -> PaxosError:
    """A machine does not answer a question, or there is no such machine."""
    if answer.refused == Reason.UNKNOWN_MACHINE:
        return ConfigurationError(
            f"not answered: the cluster has no machine {machine!r}; `machines` in the membership file of all nodes "
            "says which there are"
        )
    return QuestionRefused(f"not answered: {answer.why}")


def unreadable() -> PaxosError:
    """A gateway could not make sense of what it was sent."""
    return ConfigurationError(
        "not applied: the gateway cannot read what this client sends; install the version of paxosd that its nodes have"
    )


def expired() -> PaxosError:
    """Of a session that the cluster forgot."""
    return SessionExpired(
        "unknown: the cluster does not know this client's session (any more; it forgets those unused for longest), nor "
        f"whether the command was applied; {_READ_FIRST}"
    )


def of_end(kind: type[PaxosError], why: str, sent: bool) -> PaxosError:
    """Of a command that is under way when the client ends; `sent`: it may be applied."""
    error = kind(f"{'unknown: it may have been applied, or not' if sent else 'not applied'}; {why}")
    error.outcome = "unknown" if sent else "not_applied"
    return error


def withdrawn_by_others() -> PaxosError:
    """Of a command that this client did not withdraw."""
    return Withdrawn(
        "not applied: somebody asked for the outcome of this command, or of a later one of the same session "
        "(`client.outcome`, `paxosctl outcome`), before it was in the log, and so it never will be; propose it again"
    )


def no_such_command(seq: int) -> PaxosError:
    """A question for the outcome of a command that nobody can have sent."""
    return QuestionRefused(
        f"not answered: the session has had far fewer commands than {seq}, so none has this number; look at the number "
        "that the error told"
    )


def wrong_history(gateways: Gateways) -> str:
    """Every gateway that answers is of another history."""
    return (
        f"the cluster that this client belongs to is gone: it was wiped or restored since, and has another history "
        f"({gateways}); make a new client, and read its log before anything is proposed again"
    )


def no_thread(error: BaseException) -> PaxosError:
    """The client's own thread cannot be started."""
    return OutOfResources(f"no client can be made: {thread_shortage(error)}")


def thread_is_stuck(of_question: bool = False) -> PaxosError:
    """The client's own thread gave no result though the time is over: it hangs, or the machine stood still."""
    stuck = "this client's thread gives no results, because the process stood still or it hangs; make a new client"
    if of_question:
        return ReadTimeout(f"not answered in time: {stuck}")
    return ProposeTimeout(f"unknown: {stuck}, and {_READ_FIRST}")


def _why_no_result(refusal: Reason | None, gateways: Gateways) -> str:
    if refusal is None:
        return f"no gateway answered about it ({gateways}): the cluster is slow, stopped or cut off"
    if refusal is Reason.OVERLOADED:
        return "the leader is overloaded"
    if refusal is Reason.NO_SPACE:
        return _NO_SPACE
    if refusal is Reason.BEHIND:
        return _behind(gateways)
    return _nobody_leads(gateways)


def _nobody_leads(gateways: Gateways) -> str:
    return gateways.why or _NOBODY_LEADS


def _behind(gateways: Gateways) -> str:
    if gateways.lag and not gateways.lag.per_s:
        return (
            f"the gateway that answered ({gateways}) is at {gateways.lag} and gets no further at the moment: "
            "`paxosctl status` says whether it waits for something"
        )
    if gateways.lag:
        return f"the gateway that answered ({gateways}) catches up, {gateways.lag}, and serves then; wait for that"
    return (
        f"the gateway that answered ({gateways}) is behind what this client has seen: it catches up, or is cut off "
        "from the other nodes; `paxosctl status` names them"
    )


def _nobody_answers(gateways: Gateways) -> str:
    if gateways.names_not_found:
        return f"{'; '.join(gateways.names_not_found)}: check the spelling and the name server, or give IP addresses"
    return f"no gateway answered ({gateways}); check these addresses, and whether their daemons run"
