"""What must hold of a cluster, and what must have been seen to happen; of simulated and of real ones."""
