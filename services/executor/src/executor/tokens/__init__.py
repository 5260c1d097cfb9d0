"""Keeping the connections' tokens valid: refreshed before they expire, by one process at a time."""
