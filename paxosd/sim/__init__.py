"""Proving things about a cluster without running one: checkers of what real clusters and simulated ones did."""
