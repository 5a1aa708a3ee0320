"""Serving clients, pure: commands, reads, status, and who leads, as one learner's process tells it."""
