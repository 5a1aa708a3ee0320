"""Bugs to plant in the real source, and the search for them."""
