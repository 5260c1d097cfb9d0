"""Claiming deliveries, sending them, and recording the answers."""
