"""Elects a leader that turns due slots into runs."""
