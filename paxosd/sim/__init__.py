"""Whole clusters in one thread and in simulated time, with everything that can happen to them."""
