"""Messages as bytes: frames, and what is looked at before anything is made of them."""
