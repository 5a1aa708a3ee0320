"""Why nobody can lead, or learn, where more than patience is needed: said in the log, in `status` and to clients.

Laws:
1. What is said here is for people. Nothing is decided by it.
2. A disk counts as lost only if its node speaks with another one: whoever is silent may come back with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from paxosd.core.continuing import past_text
from paxosd.core.quorum import Quorum
from paxosd.core.types import NO_DISK, SENTENCE_CHARS_MAX, DiskId, NodeId, Slot
from paxosd.core.voters import Voters

NAMES_CHARS_MAX = 100
"""How much of a list of names is told in a sentence."""


def told_lost(voters: Voters, disks: Mapping[NodeId, DiskId]) -> str:
    """What there is to say if too many disks that vote are lost for good, as far as anybody knows; else nothing.

    `disks`: with which ones acceptors speak now.
    """
    lost = _lost(voters, disks)
    if not lost or _is_enough(voters.quorum, voters.quorum.weights.keys() - set(lost)):
        return ""
    return (
        f"{len(lost)} of {len(voters.named)} disks that vote are new or went back ({names(lost)}): nothing happens by "
        "itself; bring back the directories that they had; or, if these are gone, stop all nodes: `paxosd rescue "
        "--plan` says what is provably chosen; or take `paxosctl backup --stale`, then `paxosd restore`"
    )


def told_missing(voters: Voters, disks: Mapping[NodeId, DiskId], copying: Collection[NodeId] = ()) -> str:
    """Which disks that vote are missing, and what to do: where some are lost, so that silence is not all of it.

    `copying`: whose disk is named, and has not copied yet what it must know.
    """
    lost = _lost(voters, disks)
    here = [voter.node for voter in voters.named if disks.get(voter.node) == voter.disk != NO_DISK]
    knows = [node for node in here if node not in copying]
    if not lost or _is_enough(voters.quorum, knows):
        return ""
    if hard := told_lost(voters, disks):
        return hard
    one = len(lost) == 1
    silent = [voter.node for voter in voters.named if voter.node not in disks]
    if not silent:
        return "" if voters.quorum.can_prepare(knows) else _told_nothing_to_copy(lost, [*set(here) - set(knows)])
    had = "the directory that it had" if len(silent) == 1 else "the directories that they had"
    return (
        f"the disk{'' if one else 's'} of {names(lost)} {'is' if one else 'are'} new or went back, and will vote once "
        f"a leader has admitted {'it' if one else 'them'}, for which too few others are heard: bring back "
        f"{names(silent)} with {had}"
    )


def _told_nothing_to_copy(lost: Collection[NodeId], copying: Collection[NodeId]) -> str:
    """A disk was lost while another one, which is new, had not copied what it must know."""
    one, its_own = len(lost) == 1, len(copying) == 1
    return (
        f"the disk{'' if one else 's'} of {names(lost)} {'is' if one else 'are'} new or went back, and "
        f"{names(sorted(copying))} {'has a new one' if its_own else 'have new ones'} that cannot copy without "
        f"{'it' if one else 'them'}: nothing happens by itself; bring back {names(lost)} with the "
        f"{'directory that it' if one else 'directories that they'} had; or, if {'that is' if one else 'these are'} "
        "gone, stop all nodes: `paxosd rescue --plan` says what is provably chosen"
    )


def _lost(voters: Voters, disks: Mapping[NodeId, DiskId]) -> list[NodeId]:
    """The nodes that speak with another disk than the one that votes."""
    return [voter.node for voter in voters.named if disks.get(voter.node, voter.disk) != voter.disk]


def told_unborn(quorum: Quorum, waits_for: Collection[NodeId]) -> str:
    """For whom a birth waits, and what to do; `quorum`: that of the membership file."""
    if not waits_for:
        return "the cluster is not born yet: its proposers, which would begin it, have not said for whom they wait"
    awaited = names(waits_for)
    told = (
        f"the cluster is not born yet: every acceptor must be heard once, and {awaited} "
        f"{'is' if len(waits_for) == 1 else 'are'} not; start {'it' if len(waits_for) == 1 else 'them'}"
    )
    if not _is_enough(quorum, quorum.weights.keys() - set(waits_for)):
        return told
    flag = f"--birth-without {next(iter(waits_for))}" if len(waits_for) == 1 else "--birth-without for each of them"
    never = "it has never run" if len(waits_for) == 1 else "they have never run"
    return f"{told}; or, only if {never}, start the proposers with {flag}"


def told_unlike(quorum: Quorum, pasts: Mapping[NodeId, bytes]) -> str:
    """That no history can begin with these disks, for they hold what was before of different ones; and what to do.

    `quorum`: that of the membership file. Where a quorum has the same, nobody is told to give that up.
    """
    alike: defaultdict[bytes, list[NodeId]] = defaultdict(list)
    for node, past in sorted(pasts.items()):
        alike[past].append(node)
    each = "; ".join(f"{names(nodes)}: {past_text(past)}" for past, nodes in alike.items())
    told = f"no history can begin, for the disks of the acceptors do not continue the same ({each})"
    blank = alike.pop(b"", [])
    hint = "; restore all nodes from one backup to one end"
    if blank and len(alike) == 1:
        hint = _told_of_blank(quorum, blank)
    if "--birth-without" not in hint:
        hint += "; or, only if all that was before may be lost, start all with empty directories"
    return told[: SENTENCE_CHARS_MAX - len(hint)] + hint


def _told_of_blank(quorum: Quorum, blank: Collection[NodeId]) -> str:
    """What to do where these acceptors are new, and all others hold the same."""
    hint = f"; give {names(blank)} {'a directory that is' if len(blank) == 1 else 'directories that are'} upgraded or "
    hint += "restored as those of the others are"
    if not _is_enough(quorum, quorum.weights.keys() - set(blank)):
        return hint
    flag = f"--birth-without {next(iter(blank))}" if len(blank) == 1 else "--birth-without for each of them"
    return f"{hint}; or, if there is none, stop all nodes and start the proposers with {flag}"


def told_half_born(birth: Voters, disks: Mapping[NodeId, DiskId]) -> str:
    """What there is to say if a birth was voted for, and too many of the disks that it names are lost; else nothing.

    It may be chosen, and so may what was proposed after it, by the disks that are lost: it is not given up by itself.
    """
    lost = _lost(birth, disks)
    if not lost or _is_enough(birth.quorum, birth.quorum.weights.keys() - set(lost)):
        return ""
    return (
        f"history {birth.history.hex()[:8]} was begun with disks that are gone ({names(lost)}), and may be born: bring "
        "back the directories that they had; or, if nobody was told that a value is acknowledged, start all acceptors "
        "with empty ones"
    )


def told_gone(slot: Slot, silent: Collection[NodeId]) -> str:
    """That nobody who is heard can tell a slot that is chosen, for acceptors let go of it; and what to do.

    `silent`: the learners that did not answer.
    """
    told = f"slot {slot} is chosen, acceptors let go of it, and no learner that is heard has it: "
    if silent:
        one = len(silent) == 1
        told += f"start {names(silent)} with the {'directory that it' if one else 'directories that they'} had; or, if "
        told += f"{'that is' if one else 'these are'} gone, "
    return f"{told}stop all nodes: `paxosd rescue --plan` says what is left"


def _is_enough(quorum: Quorum, nodes: Collection[NodeId]) -> bool:
    return quorum.can_prepare(nodes) and quorum.can_accept(nodes)


def names(nodes: Collection[NodeId]) -> str:
    """A list of them, as far as it fits a sentence."""
    told = ", ".join(nodes)
    return told if len(told) <= NAMES_CHARS_MAX else f"{told[:NAMES_CHARS_MAX]} …"
