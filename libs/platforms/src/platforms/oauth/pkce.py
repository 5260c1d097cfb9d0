"""PKCE (RFC 7636) and `state`: what ties an answer from a platform to the person who set out to it. Pure but
for its randomness."""

from __future__ import annotations

import base64
import hashlib
import secrets


def new_verifier() -> str:
    """A code verifier: 64 characters of 384 random bits."""
    return secrets.token_urlsafe(48)


def challenge_of(verifier: str) -> str:
    """Its S256 challenge."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def new_state() -> str:
    """An unguessable `state`: 256 random bits. Only its hash is ever stored."""
    return secrets.token_urlsafe(32)


def hash_state(state: str) -> bytes:
    """What is stored of a `state`. Plain SHA-256 suffices for 256 random bits."""
    return hashlib.sha256(state.encode()).digest()
