"""The protocol itself: roles, messages and records as pure data and pure functions.

Nothing in this package reads a clock, draws a random number, opens a file or a socket, starts a
thread or logs. `now` and a seeded `Random` come in as arguments, effects go out as data (`Output`).
"""
