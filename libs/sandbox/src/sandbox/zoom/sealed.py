"""Tokens that carry their own facts and a signature (JWT, RFC 7519), so that nothing has to be remembered."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from sandbox.clock import Clock
from sandbox.settings import Settings
from sandbox.world.dice import throw

HEAD = base64.urlsafe_b64encode(b'{"sv":"000001","alg":"HS512","v":"2.0","kid":"sandbox-1"}').decode() + "."
"""What all of Zoom's tokens begin with: this one's length needs no padding."""


class Seal:
    """Mints and reads such tokens."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._seed = settings.seed
        self._account_id = settings.zoom_account_id
        self._key = hashlib.sha512(
            f"zoom|{settings.seed}|{settings.zoom_s2s_client_secret}".encode()
        ).digest()
        self._minted = 0

    def mint(self, kind: str, lifetime: int, **facts: object) -> str:
        """A token that lives ``lifetime`` seconds."""
        now = int(self._clock.now())
        self._minted += 1
        claims = {
            "ver": 10,
            "iss": "zm:sandbox",
            "aud": "https://oauth.zoom.us",
            "aid": self._account_id,
            "jti": f"{int(throw(self._seed, 'seal', self._minted, now)[0] * 2**32):08x}",
            "type": kind,
            "iat": now,
            "exp": now + lifetime,
            **facts,
        }
        content = HEAD + _base64(json.dumps(claims, separators=(",", ":")).encode())
        return f"{content}.{self._sign(content)}"

    def read(self, token: str, kind: str) -> dict[str, Any] | None:
        """The claims of a token of that kind, expired or not; None for anything else."""
        content, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(content).encode()):
            return None
        try:
            claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content.removeprefix(HEAD) + "=="))
        except (binascii.Error, ValueError):
            return None
        return claims if claims["type"] == kind else None

    def has_expired(self, claims: dict[str, Any]) -> bool:
        """Whether the time of a token that was read is up."""
        return bool(claims["exp"] <= self._clock.now())

    def _sign(self, content: str) -> str:
        return _base64(hmac.digest(self._key, content.encode(), "sha512"))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
