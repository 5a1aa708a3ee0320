"""Questions to machines, between client and gateway."""

from __future__ import annotations

from dataclasses import dataclass

from paxosd.core.types import Age, MachineName, Revision, Sentence


@dataclass(frozen=True, slots=True)
class Query:
    """Client to gateway: what does this machine answer? Nothing is changed by it.

    `linearizable`: as of a moment after the question came. Otherwise from what the gateway has applied, which is `seen`
    at least, and no older than `max_age_ms` (-1: of any age).
    """

    request: int
    machine: MachineName
    question: bytes
    linearizable: bool
    seen: Revision
    max_age_ms: Age = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """Gateway to client: the answer as of `revision`, which was the latest one `age_ms` ago at most (-1: who knows).

    `refused`: 0, or the `Reason` why there is no answer and never will be; `why`: what the machine says of it.
    """

    request: int
    answer: bytes
    revision: Revision
    age_ms: Age = 0
    refused: int = 0
    why: Sentence = ""
    hint: str = ""
