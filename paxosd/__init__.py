"""paxosd: a replicated log by Multi-Paxos."""
