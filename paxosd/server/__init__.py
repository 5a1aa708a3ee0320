"""A node as a process: put together, run and ended, and whether it is alive."""
