"""Access tokens of advertisers, which do not expire.

A token carries its own facts and a signature, so that it outlives a restart of the sandbox.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass

from sandbox.settings import Settings
from sandbox.tiktok_business.errors import BusinessError

_ADVERTISER = "sandbox-tt-"
_UNSCOPED = "unscoped-"
_DIED_BY_PREFIX = {
    "expired-": 40102,
    "revoked-": 40105,
    "mismatched-": 40106,
    "blocked-": 40113,
    "logged-out-": 40114,
    "not-allowlisted-": 40118,
}
ANY_APP = "sandbox"
"""The app of tokens that were pasted instead of minted."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for."""

    app_id: str = ANY_APP
    declined: tuple[str, ...] = ()
    """Advertisers the person kept from the app; it sees all others."""
    permitted: bool = True


ANONYMOUS = Identity()


class Tokens:
    """Mints advertisers' tokens and says what any token is worth now."""

    def __init__(self, settings: Settings) -> None:
        self._key = hashlib.sha256(
            f"sandbox|tiktok|{settings.seed}|{settings.tiktok_app_secret}".encode()
        ).digest()
        self._minted = 0
        self._revoked: set[str] = set()

    def mint(self, app_id: str, declined: tuple[str, ...], now: float) -> str:
        """A long-term token, in hexadecimal digits as TikTok's."""
        self._minted += 1
        payload = json.dumps([app_id, *declined, self._minted, int(now)], separators=(",", ":")).encode()
        return (hmac.digest(self._key, payload, "sha256")[:12] + payload).hex()

    def revoke(self, token: str) -> None:
        """The token dies; raises code 40105 when it is dead already."""
        self.identify(token)
        self._revoked.add(token)

    def reset(self) -> None:
        """Forget what was revoked."""
        self._revoked.clear()

    def identify(self, token: str) -> Identity:
        """Who the token speaks for; raises `BusinessError`."""
        if not token:
            raise BusinessError(40104)
        if token in self._revoked:
            raise BusinessError(40105)
        if token.startswith(_ADVERTISER):
            return Identity()
        if token.startswith(_UNSCOPED):
            return Identity(permitted=False)
        for prefix, code in _DIED_BY_PREFIX.items():
            if token.startswith(prefix):
                raise BusinessError(code)
        return self._unseal(token)

    def _unseal(self, token: str) -> Identity:
        try:
            raw = bytes.fromhex(token)
        except ValueError:
            raise BusinessError(40105) from None
        signature, payload = raw[:12], raw[12:]
        if not hmac.compare_digest(signature, hmac.digest(self._key, payload, "sha256")[:12]):
            raise BusinessError(40105)
        app_id, *declined, _, _ = json.loads(payload)
        return Identity(app_id=app_id, declined=tuple(declined))
