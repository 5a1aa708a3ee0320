"""Keys under random commands, compared with a naive model of them."""
