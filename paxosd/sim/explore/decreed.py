"""What must hold in every world in which decrees say who votes, and what must have been seen in some.

Votes are counted by disk here: those of a ballot by the voters with which its proposer prepared, and before the birth
by those that the proposed birth names. Nothing asks the core, but to read a decree.

Laws: one value is chosen per slot, whichever voters chose it; there is one birth; whoever says that something is chosen
is right; a ballot proposes nothing above a decree (`core/voters.py`, law 3); and where a decree is proposed, nothing
above is chosen by a lower ballot of the same voters, which is what law 5 there is for. Law 7 is about single turns (see
`laws.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from paxosd.core.decrees import Birth, Replace, decree_of, is_decree
from paxosd.core.types import FIRST_SLOT, Ballot, Slot, Vote
from paxosd.core.voters import NO_VOTERS, Voters
from paxosd.sim.explore.laws import Evidence, WorldLaw, one_value, value_text


def voters_of(world: Evidence) -> dict[Ballot, Voters]:
    """Whose votes count, by ballot."""
    return {ballot: voters for past in world.proposers for ballot, voters in past.prepared}


def chosen_by_disks(world: Evidence) -> dict[Vote, Voters]:
    """Every (slot, ballot, value) that was ever chosen, and the voters that chose it."""
    by_ballot = voters_of(world)
    cast = {one for past in world.acceptors for one in past.cast}
    found: dict[Vote, Voters] = {}
    for vote in {vote for _, vote in cast}:
        voters = by_ballot.get(vote.ballot, NO_VOTERS)
        decree = decree_of(vote.value)
        if not voters.are_named and isinstance(decree, Birth):
            voters = decree.voters(vote.slot)
        weight = sum(voter.weight for voter in voters.named if (voter.disk, vote) in cast)
        if voters.are_named and weight >= voters.accept:
            found[vote] = voters
    return found


def agreement(world: Evidence) -> Iterator[str]:
    """At most one value is ever chosen per slot."""
    values: dict[Slot, set[bytes]] = defaultdict(set)
    for vote in chosen_by_disks(world):
        values[vote.slot].add(vote.value)
    for slot, found in values.items():
        if len(found) > 1:
            yield f"slot {slot} has {len(found)} chosen values: {', '.join(sorted(map(value_text, found)))}"


def one_birth(world: Evidence) -> Iterator[str]:
    """A history is born once, and nothing is proposed before."""
    births = {vote.value for vote in chosen_by_disks(world) if isinstance(decree_of(vote.value), Birth)}
    if len(births) > 1:
        yield f"{len(births)} births are chosen"
    by_ballot = voters_of(world)
    for proposal in world.proposals():
        named = by_ballot.get(proposal.ballot, NO_VOTERS).are_named
        if not named and not isinstance(decree_of(proposal.value), Birth):
            yield f"{value_text(proposal.value)} is proposed in {proposal.ballot}, before any birth"


def rightly_told(world: Evidence) -> Iterator[str]:
    """What a leader calls chosen is chosen, and so is every slot below a watermark."""
    chosen = {(vote.slot, vote.value) for vote in chosen_by_disks(world)}
    for leader in world.proposers:
        for slot, value in leader.told:
            if (slot, value) not in chosen:
                yield f"{value_text(value)} was called chosen in slot {slot}, and no quorum of disks voted for it"
    slots = {slot for slot, _ in chosen}
    watermark = max(past.watermark for past in [*world.acceptors, *world.proposers])
    for slot in range(FIRST_SLOT, watermark):
        if slot not in slots:
            yield f"watermark {watermark} was told, and nothing is chosen in slot {slot}"


def decrees(world: Evidence) -> list[Vote]:
    """Proposals of decrees."""
    return [proposal for proposal in world.proposals() if is_decree(proposal.value)]


def nothing_above_a_decree(world: Evidence) -> Iterator[str]:
    """A ballot proposes nothing above a decree (law 3 of `voters.py`)."""
    for decree in decrees(world):
        for proposal in world.proposals():
            if proposal.ballot == decree.ballot and proposal.slot > decree.slot:
                yield f"ballot {decree.ballot} proposes slot {proposal.slot}, above its decree in slot {decree.slot}"


def nothing_passed_over(world: Evidence) -> Iterator[str]:
    """Where a decree is proposed, nothing above it is chosen by a lower ballot of its voters (law 5 of `voters.py`)."""
    by_ballot = voters_of(world)
    for decree in decrees(world):
        voters = by_ballot.get(decree.ballot, NO_VOTERS)
        for vote, others in chosen_by_disks(world).items():
            if others == voters and vote.ballot < decree.ballot and vote.slot > decree.slot:
                yield (
                    f"ballot {decree.ballot} proposes a decree in slot {decree.slot}, and ballot {vote.ballot} chose "
                    f"{value_text(vote.value)} in slot {vote.slot} without it"
                )


VOTERS_LAWS: Mapping[str, WorldLaw] = {
    "agreement": agreement,
    "one birth": one_birth,
    "one value per ballot and slot": one_value,
    "what is called chosen is chosen": rightly_told,
    "nothing above a decree": nothing_above_a_decree,
    "a decree was not passed over": nothing_passed_over,
}


# ---- what must have been seen ----------------------------------------------------------------


def born(world: Evidence) -> bool:
    """A birth was chosen."""
    return any(isinstance(decree_of(vote.value), Birth) for vote in chosen_by_disks(world))


def admitted(world: Evidence) -> bool:
    """A replacement was chosen."""
    return any(isinstance(decree_of(vote.value), Replace) for vote in chosen_by_disks(world))


def new_disk_counted(world: Evidence) -> bool:
    """Something was chosen by voters of whom one was admitted, and with its vote."""
    cast = {one for past in world.acceptors for one in past.cast}
    return any(
        voter.since > voters.birth and (voter.disk, vote) in cast
        for vote, voters in chosen_by_disks(world).items()
        for voter in voters.named
    )


def two_disks_voted(world: Evidence) -> bool:
    """A node voted with two disks."""
    return any(len({disk for disk, _ in past.cast}) > 1 for past in world.acceptors)


def passed_over(world: Evidence) -> bool:
    """A higher ballot than that of a proposed decree proposed above it."""
    return any(
        other.slot > decree.slot and other.ballot > decree.ballot
        for decree in decrees(world)
        for other in world.proposals()
    )


VOTERS_MARKS: Mapping[str, Callable[[Evidence], bool]] = {
    "a birth was chosen": born,
    "a disk was admitted": admitted,
    "a new disk helped to choose": new_disk_counted,
    "a node voted with two disks": two_disks_voted,
    "a decree was passed over": passed_over,
}
