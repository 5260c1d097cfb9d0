"""Which recordings belong together, and what is done with them."""
