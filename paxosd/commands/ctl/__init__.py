"""The command line of `paxosctl`, and what it prints."""
