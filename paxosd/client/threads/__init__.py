"""The face of a client for threads. But for its driver, it is made of the one for asyncio (`aio/`), word by word."""
