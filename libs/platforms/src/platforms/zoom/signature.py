"""What proves that an event comes from Zoom. Pure.

https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

TOLERANCE = timedelta(minutes=5)
"""How far from our clock an event's time may be: an older one may be a replay."""
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of an event claim. `timestamp` is as it was sent, because it is signed so."""

    timestamp: str
    signature: str

    @classmethod
    def read(cls, timestamp: str | None, signature: str | None, *, now: datetime) -> Self | None:
        """Of the headers `x-zm-request-timestamp` and `x-zm-signature`.

        None when no secret can make them right: missing, malformed, too old or too new.
        """
        if not timestamp or not signature:
            return None
        if _TIMESTAMP.fullmatch(timestamp) is None or _SIGNATURE.fullmatch(signature) is None:
            return None
        if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
            return None
        return cls(timestamp, signature)

    def holds(self, secret: str, body: bytes) -> bool:
        """Whether the body was signed with this secret; compared in constant time."""
        return hmac.compare_digest(self.signature, sign(secret, self.timestamp, body))


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body, as `x-zm-signature` has it."""
    message = b":".join((b"v0", timestamp.encode(), body))
    return "v0=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def encrypted_token(secret: str, plain_token: str) -> str:
    """The answer to `endpoint.url_validation`: it proves that we know the secret."""
    return hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()
