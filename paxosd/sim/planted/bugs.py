"""The bugs to plant, each a small change to the real source (see `planting.py`). Imports nothing of paxosd."""

from __future__ import annotations

from dataclasses import dataclass

Change = tuple[str, str, str]
"""A module, a text that stands in it once, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Bug:
    """`listed`: it stands in the list of bugs that every consensus simulator should find."""

    name: str
    changes: tuple[Change, ...]
    listed: bool = True


_RECORDS, _DRIVER, _LIVES = "paxosd.core.records", "paxosd.driver", "paxosd.lives"
_ACCEPTOR, _PROPOSER, _LEARNER = "paxosd.core.acceptor", "paxosd.core.proposer", "paxosd.core.learner"
_LEDGER, _SESSIONS, _CANDIDATE = "paxosd.machine.ledger", "paxosd.machine.sessions", "paxosd.core.candidate"
_GATEWAY, _STRANGERS, _READERS = "paxosd.gateway.gateway", "paxosd.gateway.strangers", "paxosd.gateway.readers"
_DISK = "paxosd.sim.disk"  # the simulated store stands for `storage/sqlite/store.py`, which has tests of its own

BUGS: tuple[Bug, ...] = (
    Bug(
        "skip fsync before p1b",
        ((_RECORDS, "MAY_BE_LOST = (Told", "MAY_BE_LOST = (Promised, Told"),),
    ),
    Bug(
        "skip fsync before p2b",
        ((_RECORDS, "MAY_BE_LOST = (Told", "MAY_BE_LOST = (Voted, Told"),),
    ),
    Bug(
        "reply before fsync",
        ((_DRIVER, "        self._send(output.early)\n", "        self._send(output.early + output.messages)\n"),),
    ),
    Bug(
        "retry fsync after EIO",
        (
            (
                _DRIVER,
                "            self._store.commit(output.records)\n",
                "            try:\n                self._store.commit(output.records)\n"
                "            except Exception:\n                self._store.commit([])\n",
            ),
        ),
    ),
    Bug(
        "accept without raising promise",
        (
            (
                _ACCEPTOR,
                "            self._promise(vote.ballot)\n        require(vote.ballot == self.promised,",
                "            pass\n        require(True,",
            ),
        ),
    ),
    Bug(
        "`>` for `>=` in accept",
        ((_ACCEPTOR, "        if ballot < self.promised:\n", "        if ballot <= self.promised:\n"),),
    ),
    Bug(
        "`>=` for `>` in prepare: one round promised to two owners",
        (
            (
                _ACCEPTOR,
                "        if message.ballot < self.promised:\n",
                "        if message.ballot.round < self.promised.round:\n",
            ),
        ),
    ),
    Bug(
        "count p2b of older ballot",
        (
            (
                _PROPOSER,
                "        if phase2 is None or ballot != self.ballot or source not in",
                "        if phase2 is None or source not in",
            ),
        ),
    ),
    Bug(
        "count duplicate acks",
        (
            ("paxosd.core.phase2", "field(default_factory=set)", "field(default_factory=list)"),
            ("paxosd.core.phase2", "proposal.voters.add(voter)", "proposal.voters.append(voter)"),
            ("paxosd.core.quorum", "for voter in set(voters)", "for voter in voters"),
        ),
    ),
    Bug("quorum = n//2", (("paxosd.core.quorum", "sum(weights.values()) // 2 + 1", "sum(weights.values()) // 2"),)),
    Bug(
        "pick first accepted seen",
        (
            (
                "paxosd.core.phase1",
                "            if known is None or vote.ballot > known.ballot:\n",
                "            if known is None:\n",
            ),
        ),
    ),
    Bug(
        "no-op over reported value",
        (
            (
                _PROPOSER,
                "return encode_value(self._stamp(now)) if bound is None else bound",
                "return encode_value(self._stamp(now))",
            ),
        ),
    ),
    Bug(
        "ballot without node id",
        (
            (
                "paxosd.core.types",
                "    def __str__(self) -> str:\n",
                "    def __eq__(self, other): return self[0] == other[0]\n"
                "    def __ne__(self, other): return self[0] != other[0]\n"
                "    def __lt__(self, other): return self[0] < other[0]\n"
                "    def __le__(self, other): return self[0] <= other[0]\n"
                "    def __gt__(self, other): return self[0] > other[0]\n"
                "    def __ge__(self, other): return self[0] >= other[0]\n"
                "    def __hash__(self): return hash(self[0])\n"
                "    def __str__(self) -> str:\n",
            ),
        ),
    ),
    Bug(
        "accepted not restored",
        (
            (
                _ACCEPTOR,
                "                    self._votes[slot] = Vote(slot, ballot, value)\n",
                "                    pass\n",
            ),
        ),
    ),
    Bug(
        "blank disk votes",
        (
            (
                _DRIVER,
                "        records = self._store.records()\n",
                "        try:\n            records = self._store.records()\n"
                "        except Exception:\n            records = []\n",
            ),
        ),
    ),
    Bug(
        "truncate at first bad CRC",
        (
            (
                _DISK,
                "        self._refuse_damaged(Voted, [record.slot for record in found if isinstance(record, Voted)])\n",
                "        bad = [at for at, record in enumerate(found) if (type(record), getattr(record, 'slot', 0))"
                " in self._disk.damaged]\n        found = found[: bad[0]] if bad else found\n",
            ),
        ),
    ),
    Bug("no fsync at end of recovery", ((_DISK, "        self._disk.settle()\n", ""),)),
    Bug(
        "a log is cut off before what replaces it is durable",
        ((_ACCEPTOR, "self.record(Told(self.watermark))", "self.record(Told(self._votes_stop))"),),
    ),
    Bug(
        "session expiry by local clock",
        (
            (
                _SESSIONS,
                "        if len(self._sessions) > self._sessions_max:\n",
                "        import time\n        if len(self._sessions) > time.perf_counter_ns() % 3:\n",
            ),
        ),
    ),
    Bug(
        "read served without quorum round",
        (
            (
                _PROPOSER,
                "            self._reads.add(source, request)\n",
                "            self.send_early(source, ReadIndexReply(request, self.watermark))\n",
            ),
        ),
    ),
    Bug(
        "leadership checked before the index is captured",
        ((_PROPOSER, "self._reads.start(self._sequence + 1, self.watermark)", "self._reads.start(0, self.watermark)"),),
    ),
    Bug(
        "proposer retry without backoff",
        ((_CANDIDATE, "self._random.uniform(1.0, 1.0 + ELECTION_SPREAD)", "0.01"),),
    ),
    Bug(
        "WAL deleted before snapshot durable: a learner tells what it did not sync",
        ((_LEARNER, "            self.record(Synced(self._synced))\n", "            pass\n"),),
    ),
    # ---- others of the same kinds ----
    Bug(
        "below a floor is taken for no vote",
        (("paxosd.core.catchup", "if answer.floor > answer.first:", "if False:"),),
        listed=False,
    ),
    Bug(
        "votes that one learner has are let go of",
        (("paxosd.core.floor", "return told[self._needed - 1] if", "return told[0] if"),),
        listed=False,
    ),
    Bug(
        "a floor is not told",
        ((_ACCEPTOR, "stop, votes, self.watermark, self.floor))", "stop, votes, self.watermark, FIRST_SLOT))"),),
        listed=False,
    ),
    Bug(
        "round not restored",
        ((_CANDIDATE, "                self._round = record.round\n", "                pass\n"),),
        listed=False,
    ),
    Bug(
        "promise not restored",
        ((_ACCEPTOR, "                    self.promised = ballot\n", "                    pass\n"),),
        listed=False,
    ),
    Bug(
        "read before a value of the own ballot is chosen",
        ((_PROPOSER, "if self._reads.waiting and self.watermark > self._recovered_stop:", "if self._reads.waiting:"),),
        listed=False,
    ),
    Bug(
        "watermark jumps over a gap",
        (
            (
                "paxosd.core.phase2",
                "        while self.watermark in self._chosen_above:\n",
                "        self.watermark = max(self.watermark, slot)\n"
                "        while self.watermark in self._chosen_above:\n",
            ),
        ),
        listed=False,
    ),
    Bug(
        "a vote of another ballot is taken as chosen",
        ((_ACCEPTOR, "if vote.ballot == ballot:", "if True:"),),
        listed=False,
    ),
    Bug(
        "learner trusts one acceptor",
        (("paxosd.core.catchup", "if not self._quorum.can_prepare(self._answers):", "if not self._answers:"),),
        listed=False,
    ),
    Bug(
        "catch-up takes the lowest vote",
        (("paxosd.core.catchup", "vote.ballot > known.ballot", "vote.ballot < known.ballot"),),
        listed=False,
    ),
    Bug(
        "retry with another value",
        (
            (
                _PROPOSER,
                "accept = Accept(self.ballot, slot, proposal.value, self._phase2.watermark)",
                "accept = Accept(self.ballot, slot, encode_value(self._stamp(now)), self._phase2.watermark)",
            ),
        ),
        listed=False,
    ),
    Bug(
        "leader does not step down without a quorum",
        ((_PROPOSER, "        if not self._quorum.can_accept(heard):\n", "        if False:\n"),),
        listed=False,
    ),
    Bug(
        "pre-vote ignores a leader that is heard",
        ((_ACCEPTOR, "granted = message.ballot > self.promised and not hears_another", "granted = True"),),
        listed=False,
    ),
    Bug(
        "window not kept",
        (
            (
                "paxosd.core.phase2",
                "return self.next_slot < self.watermark + self._window and",
                "return self.next_slot < self.watermark + self._window + 1 and",
            ),
        ),
        listed=False,
    ),
    Bug(
        "a repeated command is applied again",
        (
            (
                _LEDGER,
                "        next_seq, stop_seq = session.last_seq + 1, batch.first_seq + batch.count\n",
                "        next_seq, stop_seq = batch.first_seq, batch.first_seq + batch.count\n",
            ),
        ),
        listed=False,
    ),
    Bug(
        "a gap in the numbers of a session is applied",
        ((_LEDGER, "        if batch.first_seq > next_seq:\n", "        if False:\n"),),
        listed=False,
    ),
    Bug(
        "a gateway forwards sessions that it does not know",
        (
            (
                _GATEWAY,
                "if not self._replicated.knows(message.session):",
                "if False:",
            ),
        ),
        listed=False,
    ),
    Bug(
        "a gateway that is behind says that a session is in no log",
        ((_STRANGERS, "        return named == session and ", "        return True or "),),
        listed=False,
    ),
    Bug(
        "a session goes for those of somebody who has many",
        ((_SESSIONS, "self._forget(self._shares.next_to_go[1])", "self._forget(next(iter(self._sessions)))"),),
        listed=False,
    ),
    Bug(
        "reads above a client's share are forgotten in silence",
        ((_READERS, "            return [asked]\n", "            return []\n"),),
        listed=False,
    ),
    Bug(
        "a number of any height is taken",
        (("paxosd.core.plausible", "        return claimed <= self._ceiling\n", "        return True\n"),),
        listed=False,
    ),
    Bug(
        "a value is chosen on anybody's word",
        ((_LEARNER, "if source not in (self.node_id, self.ballot.proposer):", "if False:"),),
        listed=False,
    ),
    Bug(
        "a life that is silent for ever is waited for",
        ((_LIVES, "known is not None and now - known.heard_at < SILENT_S", "known is not None"),),
        listed=False,
    ),
    Bug(
        "a wiped directory does not count on",
        ((_LIVES, "newcomer = self._met_at is None or now - self._met_at < NEWCOMER_S", "newcomer = False"),),
        listed=False,
    ),
    Bug(
        "promise without the votes above the first page",
        ((_ACCEPTOR, "        end = stop >= self._votes_stop\n", "        end = True\n"),),
        listed=False,
    ),
    Bug(
        "the state is kept without the sessions",
        ((_LEDGER, "(MACHINE, self._machine.changes())):", "(MACHINE, self._machine.changes()))[1:]:"),),
        listed=False,
    ),
    Bug(
        "the state is kept for a slot more than its rows have",
        ((_LEDGER, "        return Kept(self.next_slot, ", "        return Kept(self.next_slot + 1, "),),
        listed=False,
    ),
    Bug(
        "the results of a session are forgotten at a restart",
        ((_SESSIONS, "        session.runs.extend(_runs(content[tail:]))\n", ""),),
        listed=False,
    ),
    Bug(
        "what was kept of the machine is not restored",
        ((_LEDGER, "        self._machine.restore(self._history.kept_rows(MACHINE))\n", ""),),
        listed=False,
    ),
)
