"""Alerts: what is held against its limits, what has changed since, and how it is told."""
