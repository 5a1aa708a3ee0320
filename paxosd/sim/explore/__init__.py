"""Every interleaving of a small world, each state held against the laws."""
