"""Calling a platform: the exchange, the token, the limits, and what an answer means."""
