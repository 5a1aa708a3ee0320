"""State machines: what the log means."""
