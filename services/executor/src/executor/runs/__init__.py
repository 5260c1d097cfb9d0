"""Claiming runs, executing their handlers, and recording what became of them."""
