"""Fake OAuth grants with scripted answers that record their calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from platforms.facebook import FACEBOOK_USER
from platforms.oauth.base import ANSWER_LOST, Discovered, Need, Stored, TokenSet
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.zoom import ZOOM_SERVER, ZOOM_USER

LIFE = timedelta(hours=1)

Renew = Callable[[Stored, int], Awaitable[TokenSet]]


def refusal(
    consequence: Consequence, code: str | None = None, *, platform: str = "zoom", detail: str = "no"
) -> PlatformError:
    """What a platform's token endpoint says."""
    return PlatformError(detail, consequence, platform=platform, code=code)


def answer_lost() -> PlatformError:
    """What is raised when nobody knows what the platform did."""
    return refusal(Consequence.TRANSIENT, ANSWER_LOST, detail="the connection broke")


@dataclass
class ScriptedGrant:
    """A platform with a rotating refresh token: each renewal kills the one it was made with.

    `script` is asked first, with what is stored and the number of the request; without it the renewal
    succeeds when the refresh token is the living one.
    """

    kind: ClassVar[ConnectionKind] = ZOOM_USER
    rotates: ClassVar[bool] = True
    title: ClassVar[str] = "Scripted"
    has_dialog: ClassVar[bool] = True
    uses_pkce: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ()

    script: Renew | None = None
    found: Discovered | PlatformError | None = None
    due_in: timedelta | None = LIFE - timedelta(minutes=5)
    living: str = "refresh-1"
    sent: list[Stored] = field(default_factory=list)
    looked: list[Stored] = field(default_factory=list)
    granted: int = 0

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """As the script says."""
        self.sent.append(stored)
        if self.script is not None:
            return await self.script(stored, len(self.sent))
        return self.grant(stored, now)

    def grant(self, stored: Stored, now: datetime) -> TokenSet:
        """The next pair for the living refresh token; REAUTH for any other."""
        if self.rotates and stored.refresh_token != self.living:
            raise refusal(Consequence.REAUTH, "invalid_grant", detail="Zoom: Invalid Token!")
        self.granted += 1
        self.living = f"refresh-{self.granted + 1}"
        return TokenSet(
            f"access-{self.granted + 1}",
            refresh_token=self.living if self.rotates else None,
            expires_at=now + LIFE,
            scopes=("recording:read",),
        )

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """As `found` says."""
        self.looked.append(stored)
        if isinstance(self.found, PlatformError):
            raise self.found
        assert self.found is not None, "nobody was to look"
        return self.found

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """As `due_in` says."""
        return None if self.due_in is None else now + self.due_in

    def missing_settings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """Nobody is sent anywhere here."""
        raise NotImplementedError

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """Nobody comes back with a code here."""
        raise NotImplementedError

    async def revoke(self, stored: Stored) -> None:
        """Nothing is given back here."""
        raise NotImplementedError


class ScriptedServer(ScriptedGrant):
    """Credentials that ask for tokens at will."""

    kind: ClassVar[ConnectionKind] = ZOOM_SERVER
    rotates: ClassVar[bool] = False


class ScriptedBusiness(ScriptedGrant):
    """A token without an end, which can only be looked at."""

    kind: ClassVar[ConnectionKind] = TIKTOK_BUSINESS
    rotates: ClassVar[bool] = False


class ScriptedFacebook(ScriptedGrant):
    """A token that is exchanged for another one while it lives."""

    kind: ClassVar[ConnectionKind] = FACEBOOK_USER
    rotates: ClassVar[bool] = False
