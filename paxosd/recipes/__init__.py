"""Locks, elections, queues and the like, made of keys: what each does step by step, without a clock or a network.

A recipe is a generator. It yields steps (`steps.py`), and whoever drives it, a client of threads or of asyncio, takes
each and sends the answer in. So there is one text of each recipe, and tests drive it in every order.
"""
