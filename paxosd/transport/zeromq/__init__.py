"""Frames over ZeroMQ: a node's end and a client's, the links between them, and the guard of the ports."""
