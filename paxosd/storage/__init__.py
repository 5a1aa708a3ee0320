"""Where records survive: `base.py` states the promises, every store keeps them."""
