"""The programs `paxosd` and `paxosctl`: one file for each command."""
