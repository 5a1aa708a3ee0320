"""`paxosd sim`: what it can be asked for, and what it prints."""
