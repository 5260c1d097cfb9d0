"""Access tokens of the Business API: of advertisers, which do not expire, and of creators, which do.

An advertiser's token carries its own facts and a signature, so that it outlives a restart of the sandbox.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass

from sandbox.grants import DeadToken, Grants
from sandbox.settings import Settings
from sandbox.tiktok_business.errors import BusinessError
from sandbox.world.tiktok_creators import Creators

_ADVERTISER = "sandbox-tt-"
_CREATOR = "sandbox-tt-creator-"
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
CREATOR_SCOPES = (
    "user.info.basic",
    "user.info.username",
    "user.info.stats",
    "user.info.profile",
    "user.account.type",
    "user.insights",
    "video.list",
    "video.insights",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for."""

    kind: str
    """advertiser or creator; empty when no token came along."""
    app_id: str = ANY_APP
    declined: tuple[str, ...] = ()
    """Advertisers the person kept from the app; it sees all others."""
    permitted: bool = True
    creator: str = ""
    """The username of a creator."""
    open_id: str = ""
    scopes: tuple[str, ...] = ()


ANONYMOUS = Identity("")


class Tokens:
    """Mints advertisers' tokens and says what any token is worth now."""

    def __init__(self, settings: Settings, grants: Grants, creators: Creators) -> None:
        self._grants = grants
        self._creators = creators
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
        if not self._grants.revoke(token):
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
        if token.startswith(_CREATOR):
            creator = self._creators.named(token.removeprefix(_CREATOR))
            open_id = creator.open_id(ANY_APP)
            return Identity("creator", creator=creator.username, open_id=open_id, scopes=CREATOR_SCOPES)
        if token.startswith(_ADVERTISER):
            return Identity("advertiser")
        if token.startswith(_UNSCOPED):
            return Identity("advertiser", permitted=False)
        for prefix, code in _DIED_BY_PREFIX.items():
            if token.startswith(prefix):
                raise BusinessError(code)
        return self._of_grant(token) if token.startswith("act.") else self._unseal(token)

    def _of_grant(self, token: str) -> Identity:
        try:
            grant = self._grants.identify(token)
        except DeadToken as dead:
            raise BusinessError(40102 if dead.reason == "expired" else 40105) from None
        creator = self._creators.named(grant.owner)
        return Identity(
            "creator",
            app_id=grant.client,
            creator=creator.username,
            open_id=creator.open_id(grant.client),
            scopes=grant.scopes,
        )

    def _unseal(self, token: str) -> Identity:
        try:
            raw = bytes.fromhex(token)
        except ValueError:
            raise BusinessError(40105) from None
        signature, payload = raw[:12], raw[12:]
        if not hmac.compare_digest(signature, hmac.digest(self._key, payload, "sha256")[:12]):
            raise BusinessError(40105)
        app_id, *declined, _, _ = json.loads(payload)
        return Identity("advertiser", app_id=app_id, declined=tuple(declined))
