"""Records in SQLite: one file for each node."""
