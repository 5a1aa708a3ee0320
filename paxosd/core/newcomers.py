"""What a node that has a history takes from one that speaks without any, and what one without takes from anybody.

Who speaks so may be of this cluster: a node that was just started, or has an empty directory, and was not told yet who
votes. Or it may be of another one with the same membership file: the leader of a restored cluster has no history until
that is born, and nodes of the history before, which live on, hear it at the addresses that it took over.

Laws:
1. Whoever has a history takes nothing from such a node that is about the log, about who leads, or about a disk.
2. It takes questions, so that a newcomer is told who votes: the answers name the history, and who is of another one
   refuses them.
3. It takes answers that say of the newcomer itself how it is: that it lives, with which disk, and what it has promised.
   The worst that a wrong one does is that a leader prepares once more.
4. Who has no history takes part in the ballots that begin one, and learns nothing: acceptors and learners take no value
   and no watermark before they know who votes, and a proposer forgets then what it had heard until then of the log and
   its time. All that may be of another cluster than the one that it joins. It misses nothing: whoever tells who votes
   tells that all up to the latest decree is chosen, and that can be asked for.

A newcomer misses nothing by that. What a node says in the very turn in which it is told of its history may leave before
that is durable, and so without the name: such a word is as if it were lost, and is said again.
"""

from __future__ import annotations

from paxosd.core.messages import (
    DiskSpace,
    Fetch,
    Fetched,
    FetchSnapshot,
    FetchVotes,
    Heartbeat,
    Message,
    Nack,
    Outlived,
    Ping,
    Pong,
    Prepare,
    PreVote,
    PreVoteReply,
    Recall,
)

WITHOUT_HISTORY = "message of a node without a history"
"""Why it is ignored."""

_TAKEN = (Fetch, FetchSnapshot, FetchVotes, Nack, Outlived, Ping, Pong, PreVoteReply, Recall)

BEFORE_THE_BIRTH = (DiskSpace, Fetch, Fetched, FetchSnapshot, Heartbeat, PreVote)
"""What a learner takes that does not know who votes: who does, who leads, and how its disk is; and it tells what it
has."""


def may_say(message: Message) -> bool:
    """Whether a node that has a history takes this of one that speaks without any."""
    if isinstance(message, Prepare | PreVote):  # one that names no voters is answered with those that are
        return not message.voters.are_named
    return isinstance(message, _TAKEN)
