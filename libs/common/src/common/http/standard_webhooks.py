"""Signatures of the Standard Webhooks specification, symmetric (`v1`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

_MIN_KEY = 16


def signing_keys(secret: str) -> list[bytes]:
    """The keys of `whsec_…`, or of several with spaces between while one replaces another.

    Raises ValueError, which does not repeat the secret.
    """
    keys = []
    for part in secret.split():
        encoded = part.removeprefix("whsec_").rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error:
            key = b""
        if len(key) < _MIN_KEY:
            raise ValueError("a signing secret is `whsec_` and at least 16 bytes in base64")
        keys.append(key)
    if not keys:
        raise ValueError("there is no signing secret")
    return keys


def signed_headers(identifier: str, now: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers by which a receiver knows who sent `body`, and when; one signature a key."""
    timestamp = str(int(now.timestamp()))
    content = b".".join((identifier.encode(), timestamp.encode(), body))
    signatures = (base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
