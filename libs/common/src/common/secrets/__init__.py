"""Sealing the secrets that are stored, and replacing the keys that seal them."""
