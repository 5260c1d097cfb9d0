"""Recordings, where they come from, and which template takes them."""
