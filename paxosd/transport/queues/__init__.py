"""Frames over queues between processes of one machine."""
