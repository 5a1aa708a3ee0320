"""A cluster of processes on one machine, and experiments on it."""
