"""How frames move between nodes: `base.py` states the contract, every transport keeps it."""
