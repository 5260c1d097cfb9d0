"""Connecting an account: what a grant is, its endpoint, and PKCE."""
