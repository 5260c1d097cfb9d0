"""Owns configuration and history, and serves the console."""
