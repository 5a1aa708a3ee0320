"""Messages as bytes: frames, the numbers and fields in them, and what is looked at before anything is made of one."""
