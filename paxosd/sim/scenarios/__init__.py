"""Scripted scenarios: what happens is written down, what it came to is looked at."""
