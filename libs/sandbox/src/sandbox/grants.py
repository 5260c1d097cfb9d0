"""Consents with a refresh token: the pairs they have, which one lives, and what was done with them.

A rotating refresh token cannot carry its own facts as other tokens do: whether it is the live one is known
only here. Everything is in memory, and forgotten by a reset.
"""

import hashlib
import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.world.dice import throw

_KEPT = 20_000
_KEPT_TOKENS = 64
_ALPHABET = "0123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"


class DeadToken(Exception):
    """The token is worth nothing; ``reason`` is unknown, expired, revoked, rotated or foreign."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Grant:
    """What one person allowed one client. Times are Unix seconds."""

    id: int
    client: str
    owner: str
    scopes: tuple[str, ...]
    refresh_token: str
    """The only one that works."""
    refresh_expires_at: float
    access_expires_at: float = 0.0
    refreshes: int = 0
    refused: int = 0
    """How often a refresh token was presented that works no more."""
    last_presented: str = ""
    revoked: bool = False
    tokens: deque[str] = field(default_factory=deque)
    """The latest of its tokens of both kinds, dead or alive."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the token endpoint hands out; lifetimes in seconds."""

    grant: Grant
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Grants:
    """The consents of one platform."""

    def __init__(
        self,
        platform: str,
        clock: Clock,
        seed: int,
        *,
        access_seconds: float,
        refresh_seconds: float,
        prefixes: tuple[str, str] = ("", ""),
        rotates: bool = True,
    ) -> None:
        """``prefixes`` begin access and refresh tokens; without ``rotates`` a refresh token is for keeps."""
        self.platform = platform
        self._clock = clock
        self._seed = seed
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds
        self._prefixes = prefixes
        self._rotates = rotates
        self._minted = 0
        self._opened = 0
        self._grants: OrderedDict[int, Grant] = OrderedDict()
        self._by_refresh: dict[str, Grant] = {}
        self._by_access: dict[str, tuple[Grant, float]] = {}

    def open(self, client: str, owner: str, scopes: Iterable[str]) -> Pair:
        """A new consent with its first pair."""
        return self._pair(self.adopt(client, owner, scopes, self._mint(1)))

    def adopt(self, client: str, owner: str, scopes: Iterable[str], refresh_token: str) -> Grant:
        """A consent whose refresh token came into the world elsewhere, and which has no access token yet."""
        self._opened += 1
        expires_at = self._clock.now() + self._refresh_seconds
        grant = Grant(self._opened, client, owner, tuple(scopes), refresh_token, expires_at)
        self._grants[grant.id] = grant
        self._remember_refresh(grant)
        if len(self._grants) > _KEPT:
            self._forget(next(iter(self._grants)))
        return grant

    def refresh(self, token: str, client: str) -> Pair:
        """The next pair; where tokens rotate, ``token`` dies with this call. Raises `DeadToken`."""
        grant = self._by_refresh.get(token)
        if grant is None:
            raise DeadToken("unknown")
        grant.last_presented = token
        if reason := self._death(grant, token, client):
            grant.refused += 1
            raise DeadToken(reason)
        grant.refreshes += 1
        if self._rotates:
            grant.refresh_token = self._mint(1)
            grant.refresh_expires_at = self._clock.now() + self._refresh_seconds
            self._remember_refresh(grant)
        return self._pair(grant)

    def identify(self, access_token: str) -> Grant:
        """The consent an access token stands for; raises `DeadToken`."""
        grant, expires_at = self._by_access.get(access_token, (None, 0.0))
        if grant is None:
            raise DeadToken("unknown")
        if grant.revoked:
            raise DeadToken("revoked")
        if expires_at <= self._clock.now():
            raise DeadToken("expired")
        return grant

    def revoke(self, token: str) -> bool:
        """End the consent an access or refresh token belongs to; False when there is none."""
        grant = self._by_refresh.get(token) or self._by_access.get(token, (None, 0.0))[0]
        if grant is None:
            return False
        grant.revoked = True
        return True

    def reset(self) -> None:
        """Forget every consent."""
        self._grants.clear()
        self._by_refresh.clear()
        self._by_access.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Every consent; tokens are shown by their `fingerprint` only."""
        now = self._clock.now()
        return [
            {
                "platform": self.platform,
                "grant": grant.id,
                "client": grant.client,
                "owner": grant.owner,
                "scopes": list(grant.scopes),
                "refreshes": grant.refreshes,
                "refused_refreshes": grant.refused,
                "revoked": grant.revoked,
                "live_refresh_token": fingerprint(grant.refresh_token),
                "last_presented_refresh_token": fingerprint(grant.last_presented),
                "access_expires_in": max(int(grant.access_expires_at - now), 0),
                "refresh_expires_in": max(int(grant.refresh_expires_at - now), 0),
            }
            for grant in self._grants.values()
        ]

    def _death(self, grant: Grant, token: str, client: str) -> str:
        """Why a refresh token is refused; empty when it is not."""
        if grant.client != client:
            return "foreign"
        if grant.revoked:
            return "revoked"
        if grant.refresh_token != token:
            return "rotated"
        return "expired" if grant.refresh_expires_at <= self._clock.now() else ""

    def _pair(self, grant: Grant) -> Pair:
        now = self._clock.now()
        access_token = self._mint(0)
        grant.access_expires_at = now + self._access_seconds
        self._by_access[access_token] = (grant, grant.access_expires_at)
        grant.tokens.append(access_token)
        while len(grant.tokens) > _KEPT_TOKENS:
            self._drop(grant.tokens.popleft())
        return Pair(
            grant,
            access_token,
            int(self._access_seconds),
            grant.refresh_token,
            max(math.ceil(grant.refresh_expires_at - now), 0),
        )

    def _mint(self, which: int) -> str:
        """A token of the usual look that no other call got, in this life of the sandbox or the last."""
        self._minted += 1
        name = (self.platform, self._seed, self._minted, self._clock.now())
        chances = [chance for part in range(5) for chance in throw("token", which, part, *name)]
        return self._prefixes[which] + "".join(_ALPHABET[int(chance * len(_ALPHABET))] for chance in chances)

    def _remember_refresh(self, grant: Grant) -> None:
        self._by_refresh[grant.refresh_token] = grant
        if self._rotates:
            grant.tokens.append(grant.refresh_token)

    def _forget(self, grant_id: int) -> None:
        """Drop the oldest consent with all its tokens."""
        grant = self._grants.pop(grant_id)
        for token in (*grant.tokens, grant.refresh_token):
            self._drop(token)

    def _drop(self, token: str) -> None:
        self._by_refresh.pop(token, None)
        self._by_access.pop(token, None)


def fingerprint(token: str) -> str:
    """The first 16 hexadecimal digits of a token's SHA-256; empty for no token."""
    return hashlib.sha256(token.encode()).hexdigest()[:16] if token else ""
