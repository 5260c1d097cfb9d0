"""Recordings: finding them, and processing them."""
