"""Access, refresh and download tokens, and which pair of a person and an app is the live one.

A minted token is a signed JWT that carries its facts; which pair is live is only remembered. A pair from
before a restart is therefore taken for the live one when it is first shown.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.settings import Settings
from sandbox.world.dice import throw
from sandbox.world.zoom_account import Directory, Host
from sandbox.zoom.errors import ZoomError, dead_grant
from sandbox.zoom.habits import Habits
from sandbox.zoom.scopes import ACCOUNT_SCOPES, USER_SCOPES

ACCESS_LIFE = 3_599
REFRESH_LIFE = 90 * 86_400
DOWNLOAD_LIFE = 86_400
_KEPT_REVOKED = 10_000
_HEADER = {"sv": "000001", "alg": "HS512", "v": "2.0", "kid": "sandbox"}
_ACCESS, _REFRESH, _ACCOUNT, _DOWNLOAD = "access", "refresh", "account", "download"

GrantKey = tuple[str, str, str]
"""Whose, which app's, and by which consent: each of the sandbox's refresh tokens is a consent of its own."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an access token speaks for."""

    host: Host
    scopes: tuple[str, ...]
    whole_account: bool

    def may(self, *scopes: str) -> bool:
        """Whether any of the scopes was granted."""
        return any(scope in self.scopes for scope in scopes)


@dataclass(frozen=True, slots=True)
class Pair:
    """What the token endpoint hands out; ``refresh_token`` is empty for a whole account."""

    access_token: str
    refresh_token: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Live:
    """The live pair of a grant. A refresh changes ``serial``, a new consent ``epoch`` too."""

    epoch: str
    serial: str


_NONE_LIVE = _Live("", "")


class Tokens:
    """Mints tokens and says what a token is worth now."""

    def __init__(self, settings: Settings, clock: Clock, directory: Directory, habits: Habits) -> None:
        self._clock = clock
        self._directory = directory
        self._habits = habits
        self._seed = settings.seed
        self._account_id = settings.zoom_account_id
        self._key = hashlib.sha512(f"zoom|{settings.seed}|{settings.zoom_client_secret}".encode()).digest()
        self._live: dict[GrantKey, _Live] = {}
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._minted = 0

    def reset(self) -> None:
        """Forget which pairs are live and what was revoked."""
        self._live.clear()
        self._revoked.clear()

    def authorise(self, host: Host, client_id: str, scopes: tuple[str, ...]) -> Pair:
        """A new consent: the first pair of it, and the end of any earlier pair of this person and app."""
        return self._pair((host.id, client_id, ""), self._fresh_name(), scopes)

    def refresh(self, token: str, client_id: str) -> Pair:
        """The next pair for a live refresh token, which is dead from now on; raises `OAuthError`."""
        if token.startswith("sandbox-zoom-refresh-"):
            key = (self._directory.owner.id, client_id, token)
            if key in self._live:
                raise dead_grant()
            return self._pair(key, self._fresh_name(), USER_SCOPES)
        claims = self._read(token, _REFRESH)
        if claims is None or claims["client"] != client_id or claims["exp"] <= self._clock.now():
            raise dead_grant()
        if self._live_pair(claims) != _Live(claims["epoch"], claims["jti"]):
            raise dead_grant()
        return self._pair(_grant(claims), claims["epoch"], tuple(claims["scopes"]))

    def whole_account(self, client_id: str) -> Pair:
        """A token of the whole account; any number of them live side by side."""
        token = self._mint(_ACCOUNT, ACCESS_LIFE, client=client_id, scopes=ACCOUNT_SCOPES)
        return Pair(token, "", ACCOUNT_SCOPES)

    def download(self, uuid: str, lifetime: int = DOWNLOAD_LIFE) -> str:
        """A token that opens the files of one meeting for ``lifetime`` seconds and nothing else."""
        return self._mint(_DOWNLOAD, lifetime, meeting=uuid)

    def revoke(self, token: str, client_id: str) -> None:
        """End a token and the pair it belongs to; raises `OAuthError` for what is no token of this app."""
        claims = self._read(token, _ACCESS) or self._read(token, _REFRESH)
        if claims is None:
            claims = self._read(token, _ACCOUNT)
            if claims is None or claims["client"] != client_id:
                raise dead_grant()
            self._revoked[claims["jti"]] = None
            if len(self._revoked) > _KEPT_REVOKED:
                self._revoked.popitem(last=False)
            return
        if claims["client"] != client_id:
            raise dead_grant()
        if self._live_pair(claims).epoch == claims["epoch"]:
            self._live[_grant(claims)] = _NONE_LIVE

    def identify(self, token: str) -> Identity:
        """Who an access token speaks for; raises code 124 when it is worth nothing (any more)."""
        owner = self._directory.owner
        if token.startswith("sandbox-zoom-account-"):
            return Identity(owner, ACCOUNT_SCOPES, whole_account=True)
        if token.startswith("sandbox-zoom-") and not token.startswith("sandbox-zoom-refresh-"):
            return Identity(owner, USER_SCOPES, whole_account=False)
        if token.startswith("unscoped-"):
            return Identity(owner, (), whole_account=False)
        if token.startswith("expired-"):
            raise expired()
        if claims := self._read(token, _ACCOUNT):
            self._check_age(claims)
            if claims["jti"] in self._revoked:
                raise ZoomError(124)
            return Identity(owner, tuple(claims["scopes"]), whole_account=True)
        claims = self._read(token, _ACCESS)
        host = self._directory.find(claims["uid"]) if claims else None
        if claims is None or host is None:
            raise ZoomError(124)
        # Its age first: an expired token, shown after a restart, must not be taken for the live one.
        self._check_age(claims)
        live = self._live_pair(claims)
        if live.epoch != claims["epoch"]:
            raise ZoomError(124)
        if self._habits.refresh_ends_access and live.serial != claims["jti"]:
            raise ZoomError(124)
        return Identity(host, tuple(claims["scopes"]), whole_account=False)

    def opens(self, token: str, uuid: str) -> bool:
        """Whether it is a download token of that meeting and has not expired."""
        claims = self._read(token, _DOWNLOAD)
        return claims is not None and claims["meeting"] == uuid and claims["exp"] > self._clock.now()

    def _pair(self, key: GrantKey, epoch: str, scopes: tuple[str, ...]) -> Pair:
        serial = self._fresh_name()
        user_id, client_id, consent = key
        facts = {
            "uid": user_id,
            "client": client_id,
            "consent": consent,
            "epoch": epoch,
            "jti": serial,
            "scopes": scopes,
        }
        self._live[key] = _Live(epoch, serial)
        return Pair(
            self._mint(_ACCESS, ACCESS_LIFE, **facts), self._mint(_REFRESH, REFRESH_LIFE, **facts), scopes
        )

    def _live_pair(self, claims: dict[str, Any]) -> _Live:
        return self._live.setdefault(_grant(claims), _Live(claims["epoch"], claims["jti"]))

    def _check_age(self, claims: dict[str, Any]) -> None:
        if claims["exp"] <= self._clock.now():
            raise expired()

    def _fresh_name(self) -> str:
        self._minted += 1
        parts = throw(self._seed, "zoom token", self._minted, self._clock.now())
        return "".join(f"{int(part * 2**32):08x}" for part in parts[:2])

    def _mint(self, kind: str, lifetime: int, **facts: object) -> str:
        now = int(self._clock.now())
        claims = {
            "ver": 10,
            "iss": "zm:sandbox",
            "aud": "https://oauth.zoom.us",
            "aid": self._account_id,
            "type": kind,
            "jti": self._fresh_name(),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            **facts,
        }
        content = f"{_encode(_HEADER)}.{_encode(claims)}"
        return f"{content}.{_base64(hmac.digest(self._key, content.encode(), 'sha512'))}"

    def _read(self, token: str, kind: str) -> dict[str, Any] | None:
        """The claims of a token of ours, dead or alive; None when it is not of that kind."""
        content, _, signature = token.rpartition(".")
        expected = _base64(hmac.digest(self._key, content.encode(), "sha512"))
        if not content or not hmac.compare_digest(signature.encode(), expected.encode()):
            return None
        try:
            claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content.partition(".")[2] + "=="))
        except (binascii.Error, ValueError):
            return None
        return claims if claims["type"] == kind else None


def expired() -> ZoomError:
    """Code 124 for a token whose hour has passed."""
    return ZoomError(124, "Access token is expired.")


def _grant(claims: dict[str, Any]) -> GrantKey:
    return (claims["uid"], claims["client"], claims["consent"])


def _encode(document: object) -> str:
    return _base64(json.dumps(document, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
