"""A grant: the OAuth client by which one kind of account is connected and its token renewed.

Both the API (a person comes back from a platform with a code) and the executors (a token is about to expire)
speak to the platforms' OAuth endpoints; they do it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

import httpx

from common.models import ConnectionKind

ANSWER_LOST = "answer_lost"
"""Code of an error after which the platform may have fulfilled the request although its response was lost."""
NOT_CONFIGURED = "not_configured"
"""Code of an error: the app's credentials are missing from this process's settings."""
NO_TOKEN = "no_token"  # noqa: S105 - a code, not a secret
"""Code of an error: the token, or the refresh token, that is needed is missing."""
MAX_ACCOUNTS = 1_000
"""Accounts stored for one connection; the rest are read from the platform when needed."""

Need = tuple[str, ...]
"""Scopes of which any one will do, the usual name first."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens as a platform granted them. What it did not say is None; a refresh token that is None stays as
    it was."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of a connection and a renewal needs, in clear; must stay in this process.

    `credentials` are those of a server-to-server app, as the tenant gave them.
    """

    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """Whose account it is, and what it reaches.

    `accounts` are documents with `id`, `name` and `type` (`ad_account`, `page`, `advertiser`, `profile`,
    `user`), and `currency` and `timezone` where there are such; `MAX_ACCOUNTS` at most. `settings` are worth
    keeping with the connection. Scopes and expiry are empty where the platform does not tell them here.
    """

    external_id: str
    external_name: str
    accounts: Sequence[Mapping[str, Any]] = ()
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class Grant(Protocol):
    """One kind of connection. Every method that calls a platform raises `common.errors.PlatformError`:

    REAUTH when the grant is dead, REFRESH when only the access token is, INVALID when the app's own
    credentials are wrong or missing, RATE and TRANSIENT when the same may work later, PERM when a scope is
    missing. Where an answer may have been lost after the request was sent, the error's `code` is
    `ANSWER_LOST`. No error's text holds a secret.
    """

    kind: ClassVar[ConnectionKind]
    title: ClassVar[str]
    """What a person calls it."""
    has_dialog: ClassVar[bool]
    """Whether a person agrees on the platform's own page."""
    uses_pkce: ClassVar[bool]
    rotates: ClassVar[bool]
    """Whether a renewal kills the refresh token it was made with."""
    needs: ClassVar[tuple[Need, ...]]
    """What it must be allowed for everything Carillon does with it."""

    def __init__(self, http: httpx.AsyncClient, settings: Any) -> None:
        """`settings` hold those of the platform."""
        ...

    def missing_settings(self) -> tuple[str, ...]:
        """Settings without which its dialog and its renewal do not work; empty: it is configured."""
        ...

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """Where to send the person; `challenge` is PKCE's S256 challenge."""
        ...

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """Tokens for the code the person came back with; the longest-lived there are."""
        ...

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """Another token; or the same one, looked at, where it has no end that could be put off."""
        ...

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """Whose token it is and what it reaches."""
        ...

    async def revoke(self, stored: Stored) -> None:
        """Give this grant back, where that ends no other of the same person; a dead one is no error."""
        ...

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """When the token should be renewed or looked at; None: never. Pure."""
        ...


def missing_scopes(needs: Iterable[Need], scopes: Sequence[str]) -> list[str]:
    """What is needed and was not granted, by its usual name. Nothing where the scopes are not known."""
    return [need[0] for need in needs if not set(need) & set(scopes)] if scopes else []
