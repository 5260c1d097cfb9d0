"""Connecting accounts and renewing their tokens: one file a kind of connection, one line in the registry."""
