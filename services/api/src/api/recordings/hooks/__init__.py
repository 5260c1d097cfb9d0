"""What platforms tell of recordings by themselves."""
