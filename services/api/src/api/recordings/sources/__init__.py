"""Whose recordings are taken."""
