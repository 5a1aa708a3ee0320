"""The face of a client for asyncio: the same session, moved by the loop of its program, without a thread."""
